"""Names the colours of the drawn characters, and keeps some hues away from them so that a reference can be truly new.

Hues are degrees on the HSV circle. Characters of the pretraining set never wear a hue of `UNSEEN`; backgrounds use
every hue, so the model knows those colours but has never drawn a person in them.
"""

from __future__ import annotations

import colorsys
import random
from collections.abc import Sequence
from dataclasses import dataclass

RGB = tuple[int, int, int]


@dataclass(frozen=True)
class Shade:
    """A colour word and the box of HSV values that it covers (hue in degrees, saturation and value 0..1)."""

    word: str
    hue: tuple[float, float]
    saturation: tuple[float, float]
    value: tuple[float, float]

    @property
    def has_hue(self) -> bool:
        """Whether its colours can be told from gray."""
        return self.saturation[0] > 0.3

    def draw(self, rng: random.Random) -> RGB:
        """One 8-bit RGB colour from the box."""
        red, green, blue = colorsys.hsv_to_rgb(
            rng.uniform(*self.hue) % 360 / 360, rng.uniform(*self.saturation), rng.uniform(*self.value)
        )
        return round(red * 255), round(green * 255), round(blue * 255)

    @property
    def middle(self) -> RGB:
        """The 8-bit RGB colour in the middle of the box."""
        hue, saturation, value = (sum(ends) / 2 for ends in (self.hue, self.saturation, self.value))
        red, green, blue = colorsys.hsv_to_rgb(hue % 360 / 360, saturation, value)
        return round(red * 255), round(green * 255), round(blue * 255)


BLACK = Shade("black", (220, 260), (0.1, 0.35), (0.12, 0.25))
WHITE = Shade("white", (200, 260), (0.0, 0.06), (0.9, 1.0))
BROWN = Shade("brown", (15, 28), (0.5, 0.75), (0.3, 0.55))
BLONDE = Shade("blonde", (42, 52), (0.35, 0.65), (0.88, 1.0))
ORANGE = Shade("orange", (22, 34), (0.7, 0.95), (0.85, 1.0))
RED = Shade("red", (-8, 8), (0.7, 0.95), (0.65, 0.95))
PINK = Shade("pink", (325, 345), (0.3, 0.6), (0.9, 1.0))
BLUE = Shade("blue", (205, 235), (0.55, 0.9), (0.55, 0.95))
GREEN = Shade("green", (110, 140), (0.45, 0.8), (0.4, 0.75))
YELLOW = Shade("yellow", (50, 60), (0.7, 0.95), (0.9, 1.0))
LIME = Shade("lime", (72, 95), (0.65, 0.95), (0.75, 1.0))
TEAL = Shade("teal", (165, 188), (0.65, 0.95), (0.55, 0.9))
PURPLE = Shade("purple", (268, 295), (0.5, 0.85), (0.5, 0.85))

HAIR = (BLACK, WHITE, BROWN, BLONDE, ORANGE, RED, PINK, BLUE)
EYES = (BROWN, RED, BLUE, GREEN, BLACK)
CLOTHES = (BLACK, WHITE, BROWN, ORANGE, RED, PINK, BLUE, GREEN)
UNSEEN = (LIME, TEAL, PURPLE)
UNSEEN_EYES = (YELLOW, TEAL, PURPLE)
BACKGROUND = (BLACK, WHITE, BROWN, ORANGE, RED, PINK, BLUE, GREEN, YELLOW, LIME, TEAL, PURPLE)
SKIN: tuple[RGB, ...] = ((255, 226, 205), (250, 214, 188), (238, 192, 160), (205, 150, 115))


def nearest(colour: RGB, shades: Sequence[Shade]) -> Shade:
    """The shade whose middle hue is nearest on the circle; for a colour that has a hue."""
    hue = colorsys.rgb_to_hsv(*(channel / 255 for channel in colour))[0] * 360

    def distance(shade: Shade) -> float:
        apart = abs(hue - sum(shade.hue) / 2) % 360
        return min(apart, 360 - apart)

    return min(shades, key=distance)


def darker(colour: RGB, factor: float) -> RGB:
    """The colour with its channels multiplied by `factor` (0 black, 1 unchanged)."""
    red, green, blue = colour
    return round(red * factor), round(green * factor), round(blue * factor)


def lighter(colour: RGB, factor: float) -> RGB:
    """The colour mixed with white: 0 unchanged, 1 white."""
    red, green, blue = colour
    return (
        round(red + (255 - red) * factor),
        round(green + (255 - green) * factor),
        round(blue + (255 - blue) * factor),
    )
