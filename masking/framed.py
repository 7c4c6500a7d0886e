"""How a picture and its mask are framed as one, so that the mask stays on the subject whatever is cropped, padded or
turned."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

# Weights below this share of the strongest do not widen a crop: noise of a JPEG mask, the tail of a feather.
_FAINT = 0.1
# A picture of one row of 32,768 pixels would become a square of a billion.
_MOST_PIXELS = 2**27
# Windows that are drawn before the whole picture is taken: more than one in three of them keep half of most subjects.
_TRIES = 16


class Framed(NamedTuple):
    """A picture [H,W,3] in 0..1 and its mask [H,W] in 0..1, always of the same size."""

    image: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Box:
    """A rectangle in whole pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def rows(self) -> slice:
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        return slice(self.left, self.left + self.width)


def resize_image(image: Tensor, width: int, height: int) -> Tensor:
    """Antialiased bicubic resize of a picture [H,W,3] to [height,width,3], clamped to 0..1 because bicubic weights
    overshoot."""
    if image.shape[:2] == (height, width):
        return image
    channels = image.movedim(-1, 0).unsqueeze(0)  # HWC -> 1CHW
    resized = F.interpolate(channels, size=(height, width), mode="bicubic", align_corners=False, antialias=True)
    return resized[0].movedim(0, -1).clamp(0, 1).contiguous()


def resize_mask(mask: Tensor, width: int, height: int) -> Tensor:
    """Antialiased bilinear resize of a mask [H,W] to [height,width]; it never leaves the range of its weights."""
    if mask.shape == (height, width):
        return mask
    resized = F.interpolate(
        mask[None, None], size=(height, width), mode="bilinear", align_corners=False, antialias=True
    )
    return resized[0, 0].clamp(0, 1)


def crop(framed: Framed, box: Box) -> Framed:
    """Cut the same rectangle out of picture and mask."""
    return Framed(framed.image[box.rows, box.columns], framed.mask[box.rows, box.columns])


def box_of_mask(mask: Tensor, margin: float = 0.0) -> Box:
    """The smallest box around what the mask [H,W] selects, widened on every side and kept inside the picture.

    margin: share of the box's longer side, 0.1 = a tenth. Weights under a tenth of the strongest do not widen the box.
    Raises ValueError for a mask that selects nothing.
    """
    strongest = float(mask.max())
    if strongest <= 0:
        raise ValueError("cannot crop to the mask: it selects nothing, every pixel is black (0)")
    drawn = mask >= strongest * _FAINT
    rows = torch.nonzero(drawn.any(dim=1)).flatten()
    columns = torch.nonzero(drawn.any(dim=0)).flatten()
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    left, right = int(columns[0]), int(columns[-1]) + 1
    widen = math.ceil(margin * max(bottom - top, right - left))
    top, left = max(0, top - widen), max(0, left - widen)
    bottom, right = min(mask.shape[0], bottom + widen), min(mask.shape[1], right + widen)
    return Box(left, top, right - left, bottom - top)


def crop_to_mask(framed: Framed, margin: float = 0.1) -> Framed:
    """Crop to the mask with a margin, so that a small subject fills the frame; margin as in box_of_mask."""
    return crop(framed, box_of_mask(framed.mask, margin))


def random_window(mask: Tensor, smallest: float, generator: torch.Generator) -> Box:
    """A box of the aspect of the mask [H,W] anywhere inside it, its sides `smallest` to 1 times those of the mask.

    Half of what the mask selects or more stays inside; where chance brings no such box, it is the whole.
    """
    height, width = mask.shape
    selected = float(mask.sum())
    for _ in range(_TRIES):
        scale, x, y = torch.rand(3, generator=generator, dtype=torch.float64).tolist()
        side = smallest + (1 - smallest) * scale
        box_width, box_height = max(1, round(width * side)), max(1, round(height * side))
        box = Box(round((width - box_width) * x), round((height - box_height) * y), box_width, box_height)
        if float(mask[box.rows, box.columns].sum()) >= selected / 2:
            return box
    return Box(0, 0, width, height)


def replace_background(framed: Framed, background: Tensor) -> Framed:
    """The picture where the mask selects it, before `background` [H,W,3] of the same size; gray mixes both."""
    weight = framed.mask[..., None]
    return Framed(framed.image * weight + background.to(framed.image) * (1 - weight), framed.mask)


def crop_to_aspect(framed: Framed, aspect: float) -> Framed:
    """Cut the middle of the picture to an aspect (width / height), to the nearest pixel; at least one pixel stays."""
    height, width = framed.mask.shape
    kept_width = min(width, max(1, round(height * aspect)))
    kept_height = min(height, max(1, round(width / aspect)))
    return crop(framed, Box((width - kept_width) // 2, (height - kept_height) // 2, kept_width, kept_height))


def letterbox(framed: Framed, aspect: float, colour: float = 0.5) -> Framed:
    """Pad to an aspect (width / height), the picture in the middle.

    The padding is a flat gray of value colour with mask weight 0, so that nothing is learned from it. Raises ValueError
    for a picture so narrow that its frame would not fit into memory.
    """
    height, width = framed.mask.shape
    framed_width = max(width, round(height * aspect))
    framed_height = max(height, round(width / aspect))
    if framed_width * framed_height > _MOST_PIXELS:
        raise ValueError(
            f"a picture of {width}x{height} pixels cannot be padded to {framed_width}x{framed_height}, expected a "
            f"frame of at most {_MOST_PIXELS / 1e6:.0f} million pixels"
        )
    image = framed.image.new_full((framed_height, framed_width, framed.image.shape[-1]), colour)
    mask = framed.mask.new_zeros((framed_height, framed_width))
    inside = Box((framed_width - width) // 2, (framed_height - height) // 2, width, height)
    image[inside.rows, inside.columns] = framed.image
    mask[inside.rows, inside.columns] = framed.mask
    return Framed(image, mask)


def flip(framed: Framed) -> Framed:
    """Mirror left and right. Not for asymmetric characters: an eyepatch changes sides."""
    return Framed(framed.image.flip(1), framed.mask.flip(1))
