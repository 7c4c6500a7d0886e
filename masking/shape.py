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

from ..declared import ARTIST, check, setting
from .sources import as_training_mask

# Corners join a speck: a diagonal hair strand is one part, not a row of pixels.
_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


TOPIC = "Shape of the mask"


@dataclass(frozen=True)
class MaskShape:
    """How to shape a mask; the steps run in the order of the fields, and the defaults change nothing."""

    invert: bool = setting(
        False, help="Learn what the mask leaves out.", topic=TOPIC, audience=ARTIST, option="invert_mask"
    )
    threshold: float = setting(
        0.0,
        help="Weights from here up become 1, the others 0: takes the gray out of a segmenter's mask. 0 leaves them as "
        "they are.",
        topic=TOPIC,
        audience=ARTIST,
        least=0.0,
        most=1.0,
        off=0.0,
        step=0.01,
    )
    smallest_speck: int = setting(
        0,
        help="Parts of fewer pixels are dropped. Set a threshold too where the black of the mask is not quite black.",
        topic=TOPIC,
        least=0,
        most=1_000_000_000,
        widget_most=1_000_000,
        unit="pixels",
    )
    fill_holes: bool = setting(False, help="Fill what the mask encloses.", topic=TOPIC, audience=ARTIST)
    grow: int = setting(
        0,
        help="Pixels by which the mask grows on all sides, with round corners; negative shrinks it.",
        topic=TOPIC,
        audience=ARTIST,
        least=-1024,
        most=1024,
        unit="pixels",
    )
    feather: float = setting(
        0.0,
        help="Softens the edge by about so many pixels.",
        topic=TOPIC,
        audience=ARTIST,
        least=0.0,
        most=256.0,
        step=0.5,
        unit="pixels",
    )
    floor: float = setting(
        0.0,
        help="No pixel weighs less: 0.1 learns a tenth of the surroundings too.",
        topic=TOPIC,
        least=0.0,
        most=1.0,
        step=0.01,
    )

    def __post_init__(self) -> None:
        check(self)


def shape_mask(mask: Tensor, shape: MaskShape) -> Tensor:
    """Apply all of shape to a mask of any accepted form; returns [B,H,W] float32 in 0..1."""
    mask = as_training_mask(mask)
    if shape.invert:
        mask = invert(mask)
    if shape.threshold > 0:
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
