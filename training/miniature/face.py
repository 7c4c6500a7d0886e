"""Draws a character's face, turned as far as its head is."""

from __future__ import annotations

import math

from .hair import RADIUS
from .identity import Character
from .palette import darker
from .pen import Pen

_LIPS = (150, 60, 60)


def draw_face(pen: Pen, who: Character, expression: str, turn: float) -> None:
    """Skin, eyes, brows and mouth; `turn` in degrees towards +x."""
    bent = pen.turned(turn, RADIUS)
    half = [(10, -16), (17, -8), (17, 4), (12, 13), (4, 19)]
    bent.polygon([*half, *((-x, y) for x, y in reversed(half))], who.skin)
    for side in (-1, 1):
        _eye(bent, who, side, 1.4 * math.sin(math.radians(turn)))
    if expression == "smile":
        bent.line([(-4, 11.6), (-1.8, 13.8), (1.8, 13.8), (4, 11.6)], _LIPS, 1.2)
    elif expression == "open mouth":
        bent.oval(0, 13, 3, 3, (190, 60, 70), 0.5)
    else:
        bent.line([(-2.5, 13), (2.5, 13)], _LIPS, 1.2)


def _eye(pen: Pen, who: Character, side: int, glance: float) -> None:
    """One eye with its brow and blush; the iris is moved by `glance` units."""
    red, green, blue = (round(0.75 * a + 0.25 * b) for a, b in zip(who.skin, (255, 90, 110), strict=True))
    x = side * 7.5
    pen.oval(side * 11, 9, 3, 1.7, (red, green, blue), 0)
    pen.oval(x, 2, 4.6, 6.0, (255, 255, 255), 0)
    pen.oval(x + glance, 2.6, 3.8, 5.2, who.eyes, 0)
    pen.oval(x + glance, 3.2, 1.8, 2.8, darker(who.eyes, 0.3), 0)
    pen.oval(x + glance - 1.3, 0.2, 1.3, 1.6, (255, 255, 255), 0)
    pen.line([(x - 5, -1.5), (x - 2.5, -4), (x + 2.5, -4), (x + 5, -1.5)], (50, 35, 45), 1.5)
    pen.line([(x - 3.5, -7.2), (x, -8.3), (x + 3.5, -7.2)], darker(who.hair, 0.6), 0.9)
