"""Between Pillow's pictures of 8 bits and tensors from 0 to 1: both directions, rounded in one way everywhere."""

from __future__ import annotations

import numpy
import torch
from PIL import Image
from torch import Tensor


def tensor_of(picture: Image.Image) -> Tensor:
    """[H,W,3] float32 in 0..1 of a picture, [H,W] of a gray one ("L"); alpha is left out."""
    if picture.mode not in ("L", "RGB"):
        picture = picture.convert("RGB")
    return torch.from_numpy(numpy.array(picture)).float().div_(255)


def picture_of(image: Tensor) -> Image.Image:
    """The picture of [H,W,3] or [H,W] (gray) on any device, clamped to 0..1 and rounded to 8 bits."""
    return Image.fromarray((image.detach().clamp(0, 1) * 255).round().to("cpu", torch.uint8).numpy())
