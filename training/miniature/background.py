"""Draws the busy backgrounds that characters stand before: a pattern and two colours, each with its caption word."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from PIL import Image, ImageDraw

from . import palette
from .palette import RGB

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


def draw_background(side: int, rng: random.Random, pattern: str | None = None) -> tuple[Image.Image, list[str]]:
    """A square RGB picture of `side` pixels and its caption tags."""
    pattern = pattern or rng.choice(list(PATTERNS))
    first, second = rng.sample(palette.BACKGROUND, 2)
    ground, ink = first.draw(rng), second.draw(rng)
    picture = Image.new("RGB", (side, side), ground)
    PATTERNS[pattern](ImageDraw.Draw(picture), side, ground, ink, rng)
    words = [f"{first.word} background", f"{pattern} background"]
    return picture, words if pattern == "plain" else [*words, f"{second.word} {pattern}"]
