"""Draws in a character's own units on a transparent layer, so that all its parts share one place, scale and turn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from PIL import Image, ImageDraw

from .palette import RGB, darker

Point = tuple[float, float]
OUTLINE = 0.7


@dataclass(frozen=True)
class Pen:
    """Places points whose unit is 1/20 of the head's radius, the head's centre at (0, 0), y down.

    `centre` and `unit` are in pixels of the layer, `tilt` in degrees. `flip` is -1 where the character is mirrored.
    `turn` turns the points about the vertical axis of a cylinder of `radius` units, in degrees towards +x; a radius
    of 0 leaves them flat.
    """

    layer: Image.Image
    centre: Point
    unit: float
    flip: int = 1
    tilt: float = 0.0
    turn: float = 0.0
    radius: float = 0.0

    def turned(self, turn: float, radius: float) -> Pen:
        """The same pen on a turned cylinder."""
        return replace(self, turn=turn, radius=radius)

    def _bent(self, x: float) -> float:
        if not self.radius or not self.turn:
            return x
        angle = math.asin(max(-1.0, min(1.0, x / self.radius))) + math.radians(self.turn)
        return self.radius * math.sin(max(-math.pi / 2, min(math.pi / 2, angle)))

    def place(self, x: float, y: float) -> Point:
        """Where a point comes to lie on the layer, in pixels."""
        x = self._bent(x) * self.flip
        cosine, sine = math.cos(math.radians(self.tilt)), math.sin(math.radians(self.tilt))
        turned_x, turned_y = x * cosine - y * sine, x * sine + y * cosine
        return self.centre[0] + turned_x * self.unit, self.centre[1] + turned_y * self.unit

    def polygon(self, points: Sequence[Point], fill: RGB, outline: float = OUTLINE) -> None:
        """A filled polygon with an edge of `outline` units in a darker shade."""
        placed = [self.place(x, y) for x, y in points]
        draw = ImageDraw.Draw(self.layer)
        draw.polygon(placed, fill=(*fill, 255))
        if outline:
            draw.line(
                [*placed, placed[0]],
                fill=(*darker(fill, 0.55), 255),
                width=max(1, round(outline * self.unit)),
                joint="curve",
            )

    def oval(self, x: float, y: float, rx: float, ry: float, fill: RGB, outline: float = OUTLINE) -> None:
        """A filled ellipse with the radii `rx` and `ry`."""
        self.polygon(
            [(x + rx * math.cos(a * math.tau / 40), y + ry * math.sin(a * math.tau / 40)) for a in range(40)],
            fill,
            outline,
        )

    def line(self, points: Sequence[Point], fill: RGB, width: float) -> None:
        """A line of `width` units through the points."""
        placed = [self.place(x, y) for x, y in points]
        ImageDraw.Draw(self.layer).line(
            placed, fill=(*fill, 255), width=max(1, round(width * self.unit)), joint="curve"
        )

    def limb(self, points: Sequence[Point], width: float, fill: RGB) -> None:
        """A bent tube of `width` units with round ends and an edge in a darker shade."""
        for shade, thickness in ((darker(fill, 0.55), width + 2 * OUTLINE), (fill, width)):
            self.line(points, shade, thickness)
            for x, y in points:
                self.oval(x, y, thickness / 2, thickness / 2, shade, 0)
