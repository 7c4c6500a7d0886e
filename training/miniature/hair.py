"""Draws a character's hair: what hangs behind the body, what covers the head, and the fringe."""

from __future__ import annotations

import math

from .identity import Character
from .palette import darker, lighter
from .pen import OUTLINE, Pen, Point

RADIUS = 22.0  # of the cylinder on which the face and the fringe turn


def draw_back_hair(pen: Pen, who: Character, turn: float, sway: float) -> None:
    """Hair behind the body; `turn` of the head in degrees towards +x, `sway` -1..1 swings what hangs down."""
    shade = darker(who.hair, 0.85)
    shift = -9 * math.sin(math.radians(turn))

    def hanging(points: list[Point]) -> None:
        pen.polygon([(x + shift + sway * 4 * max(0.0, y + 8) / 40, y) for x, y in points], shade)

    match who.hairstyle:
        case "long":
            hanging(
                [(-22, -8), (-26, 14), (-27, 48), (-16, 52), (-8, 46), (8, 46), (16, 52), (27, 48), (26, 14), (22, -8)]
            )
        case "twintails":
            for side in (-1, 1):
                hanging([(side * x, y) for x, y in ((16, -12), (32, -8), (37, 16), (32, 40), (26, 30), (22, 4))])
        case "ponytail":
            back = -1 if turn > 0 else 1
            hanging([(back * x, y) for x, y in ((8, -20), (26, -22), (36, -2), (34, 30), (28, 38), (25, 12), (16, -8))])
        case "bun":
            for side in (-1, 1):
                pen.oval(side * 15 + shift, -22, 9, 9, shade)
        case "spiky":
            hanging([*_spikes(), (20, 14), (-20, 14)])
        case "short":
            hanging([(-22, -4), (-24, 18), (-12, 22), (12, 22), (24, 18), (22, -4)])
    pen.oval(0, -1, 22.5, 22.5, shade)


def _spikes() -> list[Point]:
    angles = [math.pi * (0.92 + 1.16 * index / 12) for index in range(13)]
    radii = [31 if index % 2 else 22 for index in range(13)]
    return [(radius * math.cos(angle), radius * math.sin(angle)) for angle, radius in zip(angles, radii, strict=True)]


def draw_side_hair(pen: Pen, who: Character, turn: float) -> None:
    """The side of the head that a turned face uncovers."""
    if not turn:
        return
    away = -1 if turn > 0 else 1
    length = 19 if who.hairstyle in ("long", "short") else 11
    edge = [
        (away * 8, -21),
        (away * 15, -17),
        (away * 22, -6),
        (away * 22, 8),
        (away * 16, length),
        (away * 7, length - 3),
    ]
    pen.polygon([(0, -22.5), *edge, (0, 8)], who.hair, 0)
    pen.line(edge, darker(who.hair, 0.55), OUTLINE)


def draw_front_hair(pen: Pen, who: Character, turn: float) -> None:
    """The fringe, which turns with the face."""
    bent = pen.turned(turn, RADIUS)
    fringe = [(-21, 4), (-22, -8), (-17, -19), (-8, -24), (0, -25), (8, -24), (17, -19), (22, -8), (21, 4)]
    if who.hairstyle in ("long", "twintails"):
        teeth = [(17, -3), (14, -9), (9, -5), (5, -10), (0, -5), (-5, -10), (-9, -5), (-14, -9), (-17, -3)]
    elif who.hairstyle in ("short", "bun"):
        teeth = [(18, 0), (14, -10), (4, -13), (-2, -7), (-8, -12), (-14, -9), (-18, 0)]
    else:
        teeth = [(18, -2), (12, -12), (6, -6), (2, -13), (-6, -6), (-10, -12), (-18, -2)]
    bent.polygon(fringe + teeth, who.hair)
    bent.line([(-13, -16), (-5, -19), (5, -19), (13, -16)], lighter(who.hair, 0.45), 1.6)
