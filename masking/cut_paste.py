"""Cuts the subject out by its mask and puts it elsewhere: at another size and place, a little turned, before another
background.

Where the mask reaches a side of the picture the subject was cut off there. Such a side stays at the side of the new
picture, or beyond it, so that no cut edge floats in the open.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .framed import Framed, box_of_mask, replace_background

SCALES = (0.6, 1.2)  # of the subject, against the size it has
LARGEST_TURN = 8.0  # degrees
# Of the subject's box, what a free side may leave the picture by: hair and hands are cut off in drawings too.
_BEYOND = 0.05
# A subject that fills its picture has no background that could be another.
LARGEST_SUBJECT = 0.95


@dataclass(frozen=True)
class Placement:
    """Where the subject goes. scale: 1 is the size it has; x, y: how far its centre moves, as shares of the picture's
    width and height, right and down; turn: degrees, clockwise."""

    scale: float = 1.0
    x: float = 0.0
    y: float = 0.0
    turn: float = 0.0


def can_be_cut_out(mask: Tensor) -> bool:
    """Whether the mask [H,W] in 0..1 leaves a background to replace."""
    return float(mask.max()) > 0 and float(mask.mean()) < LARGEST_SUBJECT


def draw_placement(mask: Tensor, generator: torch.Generator) -> Placement:
    """A placement that keeps the subject of the mask [H,W] in the picture, and the sides at which it is cut off at the
    picture's own."""
    height, width = mask.shape
    box = box_of_mask(mask)
    scale_at, x_at, y_at, turn_at = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
    across = _Extent(box.left / width, (box.left + box.width) / width)
    along = _Extent(box.top / height, (box.top + box.height) / height)
    least = max(SCALES[0], across.least_scale, along.least_scale)
    most = max(least, min(SCALES[1], across.most_scale, along.most_scale))
    scale = least * (most / least) ** scale_at
    # Where it is cut off on opposite sides, any turn would show a cut edge.
    free = not (across.spans or along.spans)
    turn = (2 * turn_at - 1) * LARGEST_TURN if free else 0.0
    slack = math.sin(math.radians(abs(turn))) / 2
    return Placement(
        scale,
        across.shift(scale, x_at, slack * along.length * scale * height / width),
        along.shift(scale, y_at, slack * across.length * scale * width / height),
        turn,
    )


@dataclass(frozen=True)
class _Extent:
    """From where to where the subject reaches along one axis, as shares of the picture."""

    start: float
    end: float

    @property
    def length(self) -> float:
        return self.end - self.start

    @property
    def spans(self) -> bool:
        return self.start <= 0 and self.end >= 1

    @property
    def least_scale(self) -> float:
        return 1.0 if self.spans else 0.0

    @property
    def most_scale(self) -> float:
        """That at which a subject that is whole on both sides fills the picture."""
        return math.inf if self.start <= 0 or self.end >= 1 else 1 / self.length

    def shift(self, scale: float, at: float, slack: float) -> float:
        """How far the centre moves: `at` (0..1) of the way between the furthest ends that are allowed. slack: what a
        turn lifts a cut edge by."""
        half, centre = self.length * scale / 2, (self.start + self.end) / 2
        beyond = _BEYOND * self.length * scale
        low, high = half - beyond, 1 - half + beyond
        if self.start <= 0 and self.end >= 1:
            low, high = 1 - half, half
        elif self.start <= 0:
            low, high = min(low, half) - slack - beyond, half - slack
        elif self.end >= 1:
            low, high = 1 - half + slack, 1 - half + slack + beyond
        if low > high:
            low = high = (low + high) / 2
        return low + (high - low) * at - centre


def paste(framed: Framed, placement: Placement, background: Tensor) -> Framed:
    """The subject of `framed` before `background` [H,W,3] of the same size; the mask says where it is now."""
    height, width = framed.mask.shape
    box = box_of_mask(framed.mask)
    centre = ((box.left + box.width / 2) / width, (box.top + box.height / 2) / height)
    channels = torch.cat([framed.image, framed.mask[..., None]], dim=-1).movedim(-1, 0)[None]
    if placement.scale < 1:  # sampled at fewer points than there are, thin lines would break up
        size = (max(1, round(height * placement.scale)), max(1, round(width * placement.scale)))
        channels = F.interpolate(channels, size=size, mode="bicubic", align_corners=False, antialias=True)
    grid = _sampling_grid(height, width, placement, centre).to(channels)
    moved = F.grid_sample(channels, grid, mode="bicubic", padding_mode="border", align_corners=False)[0].clamp(0, 1)
    # Beyond its own frame the picture shows nothing of the subject but where it was cut off, so the border goes on.
    image, mask = moved[:-1].movedim(0, -1), moved[-1]
    pasted = replace_background(Framed(image[..., :3], mask), background)
    return Framed(torch.cat([pasted.image, image[..., 3:] * mask[..., None]], dim=-1), mask)


def _sampling_grid(height: int, width: int, placement: Placement, centre: tuple[float, float]) -> Tensor:
    """[1,H,W,2]: for each pixel of the new picture where it comes from, -1..1 across the old one."""
    y, x = torch.meshgrid(
        (torch.arange(height, dtype=torch.float64) + 0.5) / height,
        (torch.arange(width, dtype=torch.float64) + 0.5) / width,
        indexing="ij",
    )
    right, down = (x - centre[0] - placement.x) * width, (y - centre[1] - placement.y) * height
    turn = math.radians(placement.turn)
    cosine, sine = math.cos(turn) / placement.scale, math.sin(turn) / placement.scale
    from_x = (cosine * right + sine * down) / width + centre[0]
    from_y = (cosine * down - sine * right) / height + centre[1]
    return torch.stack([2 * from_x - 1, 2 * from_y - 1], dim=-1)[None]
