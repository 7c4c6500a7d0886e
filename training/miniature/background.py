"""Draws the busy backgrounds that characters stand before: a pattern and two colours, each with its caption word."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image, ImageDraw

from . import palette
from .palette import RGB, Shade

Painter = Callable[[ImageDraw.ImageDraw, int, RGB, RGB, random.Random], None]


def _checker(draw: ImageDraw.ImageDraw, side: int, first: RGB, second: RGB, rng: random.Random) -> None:
    cell = side / rng.choice((6, 8, 10))
    for row in range(math.ceil(side / cell)):
        for column in range(row % 2, math.ceil(side / cell), 2):
            draw.rectangle((column * cell, row * cell, (column + 1) * cell, (row + 1) * cell), fill=second)


def _stripes(draw: ImageDraw.ImageDraw, side: int, first: RGB, second: RGB, rng: random.Random) -> None:
    width, slant = side / rng.choice((6, 8, 10)), rng.choice((-side, 0, side))
    for index in range(-12, 24, 2):
        left = index * width
        draw.polygon(((left, 0), (left + width, 0), (left + width + slant, side), (left + slant, side)), fill=second)


def _dots(draw: ImageDraw.ImageDraw, side: int, first: RGB, second: RGB, rng: random.Random) -> None:
    step = side / rng.choice((5, 6, 8))
    radius = step * rng.uniform(0.2, 0.35)
    for row in range(-1, math.ceil(side / step) + 1):
        for column in range(-1, math.ceil(side / step) + 1):
            x, y = (column + 0.5 * (row % 2)) * step, row * step
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=second)


def _sky(draw: ImageDraw.ImageDraw, side: int, first: RGB, second: RGB, rng: random.Random) -> None:
    return None


def _hills(draw: ImageDraw.ImageDraw, side: int, first: RGB, second: RGB, rng: random.Random) -> None:
    for depth, factor in ((0.55, 1.0), (0.75, 0.75)):
        phase, height = rng.uniform(0, math.tau), rng.uniform(0.04, 0.12)
        ridge = [(x, side * (depth + height * math.sin(phase + 7 * x / side))) for x in range(0, side + 1, 4)]
        draw.polygon([(0, side), *ridge, (side, side)], fill=palette.darker(second, factor))


def _bricks(draw: ImageDraw.ImageDraw, side: int, first: RGB, second: RGB, rng: random.Random) -> None:
    height = side / rng.choice((8, 10))
    width, gap = height * 2, side / 64
    for row in range(math.ceil(side / height)):
        for column in range(-1, math.ceil(side / width) + 1):
            left, top = (column + 0.5 * (row % 2)) * width, row * height
            draw.rectangle((left, top, left + width - gap, top + height - gap), fill=second)


def _stars(draw: ImageDraw.ImageDraw, side: int, first: RGB, second: RGB, rng: random.Random) -> None:
    for _ in range(rng.randint(25, 45)):
        x, y, radius = rng.uniform(0, side), rng.uniform(0, side), side * rng.uniform(0.01, 0.03)
        draw.polygon(((x, y - radius), (x + radius, y), (x, y + radius), (x - radius, y)), fill=second)


def _waves(draw: ImageDraw.ImageDraw, side: int, first: RGB, second: RGB, rng: random.Random) -> None:
    step = side / rng.choice((6, 8))
    for index in range(-1, 9):
        top = [(x, index * step + step * 0.3 * math.sin(math.tau * 3 * x / side)) for x in range(0, side + 1, 4)]
        bottom = [(x, y + step * 0.5) for x, y in reversed(top)]
        draw.polygon(top + bottom, fill=second)


PATTERNS: dict[str, Painter] = {
    "checkered": _checker,
    "striped": _stripes,
    "dotted": _dots,
    "plain": _sky,
    "hills": _hills,
    "brick": _bricks,
    "starry": _stars,
    "wavy": _waves,
}


def tags() -> list[str]:
    """Every caption tag that a background can have."""
    colours = [f"{shade.word} background" for shade in palette.BACKGROUND]
    details = [f"{shade.word} {pattern}" for shade in palette.BACKGROUND for pattern in PATTERNS if pattern != "plain"]
    return colours + [f"{pattern} background" for pattern in PATTERNS] + details


@dataclass(frozen=True)
class Backdrop:
    """A background with what is known of it.

    That is its pattern, the shades of ground and ink, and the 8-bit colours that were drawn from them.
    `seed` fixes what a pattern leaves to chance. A plain background has no ink that could be seen.
    """

    pattern: str
    ground: Shade
    ink: Shade
    ground_colour: RGB
    ink_colour: RGB
    seed: int

    @property
    def tags(self) -> tuple[str, ...]:
        words = (f"{self.ground.word} background", f"{self.pattern} background")
        return words if self.pattern == "plain" else (*words, f"{self.ink.word} {self.pattern}")

    def paint(self, side: int) -> Image.Image:
        """A square RGB picture of `side` pixels."""
        picture = Image.new("RGB", (side, side), self.ground_colour)
        rng = random.Random(f"backdrop {self.seed}")
        PATTERNS[self.pattern](ImageDraw.Draw(picture), side, self.ground_colour, self.ink_colour, rng)
        return picture


def draw_backdrop(rng: random.Random, pattern: str | None = None) -> Backdrop:
    """A background of that pattern (None: any)."""
    pattern = pattern or rng.choice(list(PATTERNS))
    ground, ink = rng.sample(palette.BACKGROUND, 2)
    return Backdrop(pattern, ground, ink, ground.draw(rng), ink.draw(rng), rng.getrandbits(32))


def draw_background(side: int, rng: random.Random, pattern: str | None = None) -> tuple[Image.Image, list[str]]:
    """A square RGB picture of `side` pixels and its caption tags."""
    backdrop = draw_backdrop(rng, pattern)
    return backdrop.paint(side), list(backdrop.tags)
