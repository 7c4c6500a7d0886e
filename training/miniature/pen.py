"""How a character is posed, and the pen that draws in its own units wherever the pose puts it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from .palette import RGB, darker


@dataclass(frozen=True)
class Pose:
    """How it is drawn: the head's centre and the scale as shares of the side, the tilt in degrees, the expression."""

    x: float
    y: float
    scale: float
    tilt: float
    mirrored: bool
    expression: str


class Pen:
    """Draws in the character's own units (the head's radius is about 20) on a supersampled transparent layer."""

    def __init__(self, side: int, pose: Pose) -> None:
        self.layer = Image.new("RGBA", (side, side), (0, 0, 0, 0))
        self._draw = ImageDraw.Draw(self.layer)
        self._unit = side / 128 * pose.scale
        self._centre = (side * pose.x, side * pose.y)
        self._flip = -1 if pose.mirrored else 1
        self._cos, self._sin = math.cos(math.radians(pose.tilt)), math.sin(math.radians(pose.tilt))

    def _place(self, x: float, y: float) -> tuple[float, float]:
        x *= self._flip
        turned_x, turned_y = x * self._cos - y * self._sin, x * self._sin + y * self._cos
        return self._centre[0] + turned_x * self._unit, self._centre[1] + turned_y * self._unit

    def polygon(self, points: Sequence[tuple[float, float]], fill: RGB, outline: float = 0.7) -> None:
        placed = [self._place(x, y) for x, y in points]
        self._draw.polygon(placed, fill=(*fill, 255))
        if outline:
            edge = (*darker(fill, 0.55), 255)
            self._draw.line([*placed, placed[0]], fill=edge, width=round(outline * self._unit), joint="curve")

    def oval(self, x: float, y: float, rx: float, ry: float, fill: RGB, outline: float = 0.7) -> None:
        circle = [(x + rx * math.cos(a * math.tau / 40), y + ry * math.sin(a * math.tau / 40)) for a in range(40)]
        self.polygon(circle, fill, outline)

    def line(self, points: Sequence[tuple[float, float]], fill: RGB, width: float) -> None:
        placed = [self._place(x, y) for x, y in points]
        self._draw.line(placed, fill=(*fill, 255), width=max(1, round(width * self._unit)), joint="curve")
