"""Draws a character's neck, clothes and legs, straight on or turned by three quarters."""

from __future__ import annotations

import math

from .identity import Character
from .palette import RGB, darker, lighter
from .pen import Pen, Point

_DEPTH = 0.65  # of the trunk, as a share of its width
_FRONT = 9.0  # units from the trunk's axis to its front
_LEGS: dict[
    str, tuple[RGB | None, RGB | None]
] = {  # legs and shoes; None is skin for the legs and the accent for shoes
    "dress": (None, None),
    "sailor uniform": (None, (60, 45, 45)),
    "hoodie": ((62, 60, 76), (235, 235, 240)),
    "shirt": ((84, 96, 128), (96, 66, 48)),
}


class _Trunk:
    """Draws on a body that is turned by `turn` degrees towards +x: outlines grow narrow, details of the front shift."""

    def __init__(self, pen: Pen, turn: float) -> None:
        self.pen = pen
        self._cosine, self._sine = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        self._narrow = math.hypot(self._cosine, _DEPTH * self._sine)

    def outline(self, half: list[Point], fill: RGB, width: float = 0.7) -> None:
        """A shape that is symmetric about the axis, from its right half from top to bottom."""
        points = [(x * self._narrow, y) for x, y in half]
        self.pen.polygon([*points, *((-x, y) for x, y in reversed(points))], fill, width)

    def front(self, points: list[Point], fill: RGB, width: float = 0.5) -> None:
        """A shape that lies on the front."""
        self.pen.polygon([self.on_front(point) for point in points], fill, width)

    def seam(self, points: list[Point], fill: RGB, width: float) -> None:
        """A line on the front."""
        self.pen.line([self.on_front(point) for point in points], fill, width)

    def on_front(self, point: Point) -> Point:
        return point[0] * self._cosine + _FRONT * self._sine, point[1]

    def beside(self, x: float) -> float:
        return x * self._cosine


def draw_body(pen: Pen, who: Character, turn: float, head_turn: float, sway: float) -> None:
    """The body from the neck down; turns in degrees towards +x, `sway` -1..1 spreads the legs."""
    trunk = _Trunk(pen, turn)
    _legs(trunk, who, sway)
    chin = 6 * math.sin(math.radians(head_turn))
    pen.polygon([(chin - 5, 12), (-5, 28), (5, 28), (chin + 5, 12)], darker(who.skin, 0.9), 0.5)
    {"dress": _dress, "sailor uniform": _sailor_uniform, "hoodie": _hoodie, "shirt": _shirt}[who.outfit](trunk, who)


def _legs(trunk: _Trunk, who: Character, sway: float) -> None:
    legs, shoes = _LEGS[who.outfit]
    legs, shoes = legs or who.skin, shoes or who.accent
    spread = 2 * sway
    for side in (-1, 1):
        hip, knee, ankle = (trunk.beside(side * x) for x in (8, 9 + spread, 9 + 1.5 * spread))
        step = 3 * (trunk.on_front((0, 0))[0] / _FRONT)
        trunk.pen.limb([(hip, 62), (knee, 89), (ankle, 111)], 9.5, legs)
        if who.outfit == "sailor uniform":
            trunk.pen.limb([((knee + ankle) / 2, 101), (ankle, 111)], 9.5, (60, 60, 80))
        trunk.pen.oval(ankle + step + side * 1.2, 115, 6.6, 3.8, shoes)


def _dress(trunk: _Trunk, who: Character) -> None:
    trunk.outline([(8, 24), (18, 28), (20, 34), (15, 52), (20, 66), (30, 88)], who.clothes)
    trunk.front([(-8, 24), (0, 36), (8, 24)], who.skin)
    trunk.outline([(15.5, 51), (17, 57)], who.accent, 0.5)
    for x in (-10, 0, 10):
        trunk.seam([(x * 0.8, 62), (x * 1.3, 87)], darker(who.clothes, 0.75), 0.8)


def _sailor_uniform(trunk: _Trunk, who: Character) -> None:
    skirt = darker(who.clothes, 0.78)
    trunk.outline([(15, 54), (19, 62), (26, 80)], skirt)
    for x in (-15, -7.5, 0, 7.5, 15):
        trunk.seam([(x * 0.8, 62), (x * 1.2, 80)], darker(skirt, 0.7), 0.8)
    trunk.outline([(8, 24), (18, 28), (20, 34), (16, 50), (17, 60)], who.clothes)
    trunk.front([(-14, 25), (-16, 40), (0, 46), (16, 40), (14, 25), (0, 38)], lighter(who.clothes, 0.75), 0.6)
    trunk.front([(-6, 41), (0, 45), (6, 41), (4, 52), (0, 48), (-4, 52)], who.accent)


def _hoodie(trunk: _Trunk, who: Character) -> None:
    trunk.outline([(9, 24), (20, 28), (23, 35), (22, 52), (23, 68)], who.clothes)
    trunk.outline([(22, 66), (21, 72)], darker(who.clothes, 0.75), 0.5)
    trunk.front([(-11, 52), (-14, 63), (14, 63), (11, 52)], darker(who.clothes, 0.88), 0.6)
    trunk.front([(-15, 24), (-17, 34), (0, 40), (17, 34), (15, 24), (0, 31)], darker(who.clothes, 0.75), 0.6)
    for x in (-4, 4):
        trunk.seam([(x, 38), (x, 50)], (245, 245, 245), 1.2)


def _shirt(trunk: _Trunk, who: Character) -> None:
    trunk.outline([(8, 24), (18, 28), (20, 34), (17, 52), (18, 66)], who.clothes)
    trunk.front([(-9, 24), (-11, 32), (0, 38), (11, 32), (9, 24), (0, 32)], (250, 250, 250), 0.6)
    trunk.seam([(0, 38), (0, 66)], darker(who.clothes, 0.7), 0.9)
    for y in (44, 52, 60):
        x, height = trunk.on_front((2.5, y))
        trunk.pen.oval(x, height, 1.1, 1.1, (250, 250, 250), 0.3)
