"""Draws a character's arms in each of their named poses."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .identity import Character
from .palette import darker, lighter
from .pen import Pen, Point

SHOULDER = (18.5, 32.0)


@dataclass(frozen=True)
class _Arm:
    """Of an arm on the +x side, in units: elbow and hand, and how far both are in front of the body."""

    elbow: Point
    hand: Point
    elbow_depth: float = 0.0
    hand_depth: float = 0.0
    behind: bool = False
    open_hand: bool = False


_HANGING = _Arm((24, 50), (24.5, 68))
_RAISED = _Arm((33, 12), (27, -22), open_hand=True)
_POSES: dict[str, tuple[_Arm, _Arm]] = {  # the arm on the +x side, the other one
    "arms at sides": (_HANGING, _HANGING),
    "arms up": (_RAISED, _RAISED),
    "hands on hips": (_Arm((38, 47), (19, 60)), _Arm((38, 47), (19, 60))),
    "waving": (_Arm((37, 44), (41, 14), open_hand=True), _HANGING),
    "crossed arms": (_Arm((24, 51), (-11, 45), 4, 13), _Arm((24, 51), (-11, 49), 4, 13)),
    "arms behind back": (
        _Arm((27, 47), (10, 59), -4, -10, behind=True),
        _Arm((27, 47), (10, 59), -4, -10, behind=True),
    ),
}


class Arms:
    """Both arms of one pose; `turn` is the body's in degrees towards +x, `swing` (-1..1) moves elbows and hands."""

    def __init__(self, pen: Pen, who: Character, pose: str, turn: float, swing: float) -> None:
        self._pen, self._who, self._turn, self._swing = pen, who, turn, swing
        self._arms = dict(zip((1, -1), _POSES[pose], strict=True))
        self._crossed = pose == "crossed arms"

    def draw_behind(self) -> None:
        """What the body covers: arms behind the back, and the far arm of a turned body."""
        for side, arm in self._arms.items():
            if self._is_behind(side, arm):
                self._draw(side, arm)

    def draw_in_front(self) -> None:
        """The arms that lie before the body."""
        for side, arm in self._arms.items():
            if not self._is_behind(side, arm):
                self._draw(side, arm)

    def _is_behind(self, side: int, arm: _Arm) -> bool:
        return arm.behind or (not self._crossed and side * self._turn > 0)

    def _draw(self, side: int, arm: _Arm) -> None:
        shoulder = self._turned(side * SHOULDER[0], SHOULDER[1], 0)
        elbow = _about(SHOULDER, arm.elbow, -7 * self._swing)
        hand = _about(arm.elbow, arm.hand, -9 * self._swing)
        hand = (hand[0] + elbow[0] - arm.elbow[0], hand[1] + elbow[1] - arm.elbow[1])
        elbow = self._turned(side * elbow[0], elbow[1], arm.elbow_depth)
        hand = self._turned(side * hand[0], hand[1], arm.hand_depth)
        if not arm.behind:
            self._hand(elbow, hand, arm.open_hand)
        self._sleeve(shoulder, elbow, hand)

    def _turned(self, x: float, y: float, depth: float) -> Point:
        angle = math.radians(self._turn)
        return x * math.cos(angle) + depth * math.sin(angle), y

    def _hand(self, elbow: Point, hand: Point, is_open: bool) -> None:
        angle = math.atan2(hand[1] - elbow[1], hand[0] - elbow[0])
        palm = _along(hand, angle, 3)
        if is_open:
            for spread in (-50, -18, 10, 38):
                tip = _along(palm, angle + math.radians(spread), 7)
                self._pen.limb([palm, tip], 2.2, self._who.skin)
        self._pen.oval(*palm, 4.4, 4.4, self._who.skin)

    def _sleeve(self, shoulder: Point, elbow: Point, hand: Point) -> None:
        who, pen = self._who, self._pen
        match who.outfit:
            case "hoodie":
                pen.limb([shoulder, elbow, hand], 10.5, who.clothes)
                pen.limb([_between(elbow, hand, 0.88), hand], 9, darker(who.clothes, 0.75))
            case "sailor uniform":
                pen.limb([shoulder, elbow, hand], 8.5, who.clothes)
                pen.limb([_between(elbow, hand, 0.85), hand], 8.5, lighter(who.clothes, 0.75))
            case "shirt":
                pen.limb([shoulder, elbow, hand], 7, who.skin)
                pen.limb([shoulder, _between(shoulder, elbow, 0.75)], 10.5, who.clothes)
            case _:
                pen.limb([shoulder, elbow, hand], 7, who.skin)
                pen.limb([shoulder, _between(shoulder, elbow, 0.2)], 11, who.clothes)


def _about(centre: Point, point: Point, degrees: float) -> Point:
    x, y = point[0] - centre[0], point[1] - centre[1]
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return centre[0] + x * cosine - y * sine, centre[1] + x * sine + y * cosine


def _along(start: Point, angle: float, length: float) -> Point:
    return start[0] + length * math.cos(angle), start[1] + length * math.sin(angle)


def _between(first: Point, second: Point, share: float) -> Point:
    return first[0] + share * (second[0] - first[0]), first[1] + share * (second[1] - first[1])
