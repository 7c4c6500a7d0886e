"""Draws what a character wears on the head; it turns with the head."""

from __future__ import annotations

import math

from .hair import RADIUS
from .identity import Character
from .palette import RGB, darker
from .pen import Pen, Point

_OUTER = 27.0  # radius of the cylinder on which things above the hair turn
_FRAME: RGB = (40, 40, 50)


def draw_accessory(pen: Pen, who: Character, turn: float) -> None:
    """The character's accessory, if any; `turn` in degrees towards +x."""
    outer = pen.turned(0.75 * turn, _OUTER)  # so that its far side stays in sight
    match who.accessory:
        case "bow":
            outer.polygon([(12, -20), (3, -28), (3, -13)], who.accent)
            outer.polygon([(12, -20), (21, -28), (21, -13)], who.accent)
            outer.oval(12, -20, 2.4, 2.4, darker(who.accent, 0.8))
        case "flower":
            for x, y in _circle(14, -17, 4.4, 5):
                outer.oval(x, y, 3.3, 3.3, who.accent, 0.4)
            outer.oval(14, -17, 2.4, 2.4, (255, 240, 160), 0.4)
        case "glasses":
            _glasses(pen.turned(turn, RADIUS))
        case "cat ears":
            for side in (-1, 1):
                outer.polygon([(side * 20, -10), (side * 21, -33), (side * 7, -23)], who.hair)
                outer.polygon([(side * 18, -16), (side * 19, -28), (side * 11, -22)], (245, 170, 180), 0.3)
        case "headband":
            pen.turned(turn, 24).line(
                [(-21, -10), (-15, -19), (-6, -23.5), (6, -23.5), (15, -19), (21, -10)], who.accent, 3.4
            )
        case "star":
            radii = [8.5 if index % 2 == 0 else 3.7 for index in range(10)]
            angles = [index * math.tau / 10 - math.pi / 2 for index in range(10)]
            outer.polygon(
                [(13 + r * math.cos(a), -19 + r * math.sin(a)) for r, a in zip(radii, angles, strict=True)], who.accent
            )
        case "crescent":
            edge = [(12 + 8 * math.cos(a * 0.25), -19 + 8 * math.sin(a * 0.25)) for a in range(3, 20)]
            hollow = [(15 + 6 * math.cos(a * 0.25), -20 + 6 * math.sin(a * 0.25)) for a in range(18, 3, -1)]
            outer.polygon(edge + hollow, who.accent)
        case "horns":
            for side in (-1, 1):
                outer.polygon([(side * 8, -21), (side * 16, -18), (side * 22, -36)], who.accent)
        case "crown":
            outer.polygon([(-12, -20), (-14, -35), (-6, -28), (0, -37), (6, -28), (14, -35), (12, -20)], who.accent)


def _glasses(pen: Pen) -> None:
    for side in (-1, 1):
        pen.line([*_circle(side * 7.5, 2.5, 6.2, 20), (side * 7.5 + 6.2, 2.5)], _FRAME, 1.2)
    pen.line([(-1.5, 2), (1.5, 2)], _FRAME, 1.2)


def _circle(x: float, y: float, radius: float, count: int) -> list[Point]:
    return [
        (x + radius * math.cos(i * math.tau / count), y + radius * math.sin(i * math.tau / count)) for i in range(count)
    ]
