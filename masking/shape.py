"""How a training mask is shaped at image resolution, because at an eighth of the size hair strands and earrings are
gone."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from .sources import as_training_mask

# Corners join a speck: a diagonal hair strand is one part, not a row of pixels.
_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True)
class MaskShape:
    """How to shape a mask; the steps run in the order of the fields, and the defaults change nothing."""

    invert: bool = False
    threshold: float | None = None  # weights from here up become 1, the others 0
    smallest_speck: int = 0  # parts of fewer pixels are dropped
    fill_holes: bool = False
    grow: int = 0  # pixels; negative shrinks
    feather: float = 0.0  # standard deviation of the blur in pixels
    floor: float = 0.0  # no pixel weighs less

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ValueError(f"mask threshold is {self.threshold}, expected 0 to 1")
        if self.smallest_speck < 0:
            raise ValueError(f"smallest speck is {self.smallest_speck} pixels, expected 0 or more")
        if not (math.isfinite(self.feather) and self.feather >= 0):
            raise ValueError(f"mask feather is {self.feather} pixels, expected 0 or more")
        if not 0 <= self.floor <= 1:
            raise ValueError(f"mask floor is {self.floor}, expected 0 to 1")


def shape_mask(mask: Tensor, shape: MaskShape) -> Tensor:
    """Apply all of shape to a mask of any accepted form; returns [B,H,W] float32 in 0..1."""
    mask = as_training_mask(mask)
    if shape.invert:
        mask = invert(mask)
    if shape.threshold is not None:
        mask = threshold(mask, shape.threshold)
    if shape.smallest_speck > 1:
        mask = drop_specks(mask, shape.smallest_speck)
    if shape.fill_holes:
        mask = fill_holes(mask)
    if shape.grow > 0:
        mask = grow(mask, shape.grow)
    if shape.grow < 0:
        mask = shrink(mask, -shape.grow)
    if shape.feather > 0:
        mask = feather(mask, shape.feather)
    return raise_to_floor(mask, shape.floor)


def invert(mask: Tensor) -> Tensor:
    """[B,H,W] -> 1 - mask."""
    return 1 - mask


def threshold(mask: Tensor, level: float) -> Tensor:
    """[B,H,W] -> 1 where the weight is at least level, else 0."""
    return (mask >= level).to(mask.dtype)


def raise_to_floor(mask: Tensor, minimum: float) -> Tensor:
    """[B,H,W] -> no weight below minimum, so that the surroundings count a little."""
    return mask.clamp(min=minimum)


def grow(mask: Tensor, radius: int) -> Tensor:
    """Dilate [B,H,W] by a true disc: each pixel takes the strongest weight within radius pixels. Gray weights stay
    gray."""
    return _each(mask, lambda weights: _dilate(weights, radius))


def shrink(mask: Tensor, radius: int) -> Tensor:
    """Erode [B,H,W] by a true disc. The border of the picture does not erode: a subject cut by the frame goes on
    outside of it."""
    return 1 - grow(1 - mask, radius)


def feather(mask: Tensor, sigma: float) -> Tensor:
    """Blur [B,H,W] with a Gaussian of standard deviation sigma in pixels, cut at 3 sigma. The picture's border is
    continued outwards."""
    if sigma <= 0:
        return mask
    radius = math.ceil(3 * sigma)
    offset = torch.arange(-radius, radius + 1, dtype=torch.float64)  # in float32 a tiny sigma would underflow to 0 / 0
    kernel = torch.exp(-0.5 * (offset / sigma) ** 2)
    kernel = (kernel / kernel.sum()).to(mask)
    blurred = mask.unsqueeze(1)  # BHW -> B1HW
    blurred = F.conv2d(F.pad(blurred, (radius, radius, 0, 0), mode="replicate"), kernel.view(1, 1, 1, -1))
    blurred = F.conv2d(F.pad(blurred, (0, 0, radius, radius), mode="replicate"), kernel.view(1, 1, -1, 1))
    return blurred[:, 0].clamp(0, 1)


def fill_holes(mask: Tensor, level: float = 0.5) -> Tensor:
    """Set to 1 what lies below level in [B,H,W] and is enclosed by weights from level up; all other weights stay as
    they are."""

    def fill(weights: np.ndarray) -> np.ndarray:
        drawn = weights >= level
        holes = ndimage.binary_fill_holes(drawn) & ~drawn
        return np.where(holes, np.float32(1), weights)

    return _each(mask, fill)


def drop_specks(mask: Tensor, smallest: int) -> Tensor:
    """Set to 0 every connected part of [B,H,W] that has fewer than smallest pixels above 0 (corners connect).

    A mask with noise in its black areas is one large part: threshold it first.
    """

    def drop(weights: np.ndarray) -> np.ndarray:
        parts, _ = ndimage.label(weights > 0, structure=_EIGHT_NEIGHBOURS)
        pixels = np.bincount(parts.ravel())
        keep = pixels >= smallest
        keep[0] = False  # the background, already 0
        return np.where(keep[parts], weights, np.float32(0))

    return _each(mask, drop)


def _each(mask: Tensor, operation: Callable[[np.ndarray], np.ndarray]) -> Tensor:
    """Run a numpy operation [H,W] -> [H,W] over [B,H,W]; the result is a new tensor on the mask's device."""
    done = [torch.from_numpy(operation(one.detach().cpu().numpy())) for one in mask]
    return torch.stack(done).to(mask)


def _dilate(weights: np.ndarray, radius: int) -> np.ndarray:
    """Dilation of [H,W] with the disc dx² + dy² <= radius²."""
    if radius <= 0 or not weights.any():
        return weights.copy()
    if np.isin(weights, (0, 1)).all():
        # Black and white needs one distance transform whatever the radius is.
        return (ndimage.distance_transform_edt(weights == 0) <= radius).astype(weights.dtype)
    height, width = weights.shape
    grown = weights.copy()
    for offset in range(min(radius, height - 1) + 1):
        # One chord of the disc: a running maximum along the rows, then moved up and down by the offset.
        half = min(math.isqrt(radius * radius - offset * offset), width - 1)
        spread = ndimage.maximum_filter1d(weights, 2 * half + 1, axis=1, mode="constant")
        np.maximum(grown[offset:], spread[: height - offset], out=grown[offset:])
        np.maximum(grown[: height - offset], spread[offset:], out=grown[: height - offset])
    return grown
