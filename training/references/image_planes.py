"""How a decoded picture becomes tensors of no more pixels than training can use, one channel after another, because a
scan of sixty million pixels would take a gigabyte as floating point and seconds in every step after it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

# 4096x4096, four times the pixels of the largest training size, 2048x2048: a subject that fills half of each side is
# still trained from pixels of its own.
MOST_KEPT = 4096 * 4096
ORIENTATION = 0x0112  # EXIF tag
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Planes(NamedTuple):
    """Channels of one size, upright and straight (not premultiplied): each of mode "L", or "F" in 0..1.

    colours: red, green and blue, or gray alone. alpha: None where the picture has none.
    """

    colours: tuple[Image.Image, ...]
    alpha: Image.Image | None

    def tensors(self) -> tuple[Tensor, Tensor | None]:
        """(rgb [H,W,3], alpha [H,W] or None), float32 in 0..1. Raises ValueError where a value is not finite."""
        width, height = self.colours[0].size
        rgb = torch.empty(height, width, 3)
        for number in range(3):
            rgb[..., number] = _values(self.colours[number % len(self.colours)])
        return rgb, None if self.alpha is None else _values(self.alpha)


def planes_of(image: Image.Image, most_pixels: int = MOST_KEPT) -> Planes:
    """The channels of a loaded picture, turned as its EXIF says.

    Gray stays gray; palettes and colour keys become alpha; 16 bits are scaled, never clipped. What has more than
    `most_pixels` is averaged over areas to about as many. Raises ValueError for values that no picture has.
    """
    size = size_kept(image.size, most_pixels)
    turn = _UPRIGHT.get(image.getexif().get(ORIENTATION, 1))

    def finished(plane: Image.Image) -> Image.Image:
        # Each by itself: of a picture with alpha Pillow would lose the colours that are wholly transparent.
        plane = plane if plane.size == size else plane.resize(size, Image.Resampling.BOX)
        return plane if turn is None else plane.transpose(turn)

    if image.mode == "F" or image.mode.startswith("I"):
        gray, alpha = _deep_gray(image)
        return Planes((finished(gray),), None if alpha is None else finished(alpha))
    mode = "RGB"
    if image.has_transparency_data:
        _reduce_colour_key(image)
        mode = "RGBA"
    if image.mode != mode:
        image = image.convert(mode)
    red, green, blue, *alphas = (finished(image.getchannel(number)) for number in range(len(mode)))
    return Planes((red, green, blue), alphas[0] if alphas else None)


def size_kept(size: tuple[int, int], most_pixels: int = MOST_KEPT) -> tuple[int, int]:
    """(width, height) of what is kept of a picture of this size, of the same aspect."""
    width, height = size
    if width * height <= most_pixels:
        return size
    scale = math.sqrt(most_pixels / (width * height))
    return max(1, int(width * scale)), max(1, int(height * scale))


def _values(plane: Image.Image) -> Tensor:
    """[H,W] float32 in 0..1."""
    values = torch.from_numpy(np.array(plane, dtype=np.float32))
    if plane.mode == "L":
        return values.div_(255)
    if not values.isfinite().all():
        raise ValueError("it holds NaN or infinite values")
    return values


def _reduce_colour_key(image: Image.Image) -> None:
    """Pillow keeps the upper 8 of 16 bits of a colour, but all 16 of the colour that stands for transparent, which then
    matches none."""
    key = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(key, tuple) and max(key) > 255:
        image.info["transparency"] = tuple(value >> 8 for value in key)


def _deep_gray(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Gray of 16 bits (modes I;16 and, in older Pillow, I) or of floating point, which Pillow's own conversion would
    clip at 255: its values in 0..1 (mode F), and the alpha of its colour key."""
    colour_key = image.info.get("transparency")
    alpha = None
    if isinstance(colour_key, int):
        alpha = Image.fromarray((np.asarray(image) != colour_key).astype(np.uint8) * 255)
    full = 1.0 if image.mode == "F" else 65535.0
    values = np.array(image, dtype=np.float32)
    low, high = float(values.min()), float(values.max())
    if math.isfinite(low) and math.isfinite(high) and (low < 0 or high > full):
        raise ValueError(f"its values run from {low:g} to {high:g}, expected 0 to {full:g}")
    values /= full
    return Image.fromarray(values), alpha
