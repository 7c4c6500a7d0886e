"""How large a picture is trained: of its aspect, of a given area, with sides that the model accepts."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from .framed import Framed, crop_to_aspect, crop_to_mask, letterbox

Fit = Literal["stretch", "crop", "letterbox"]


FITS: dict[Fit, str] = {
    "stretch": "the nearest size of the same aspect; a side is stretched by a few pixels where it is no multiple of 16",
    "crop": "the same size without stretching: a few pixels are cut at two sides instead",
    "letterbox": "a square; the free part is gray and has weight 0 in the mask",
}


@dataclass(frozen=True)
class Framing:
    """How references are brought to training size; the steps run in the order crop, fit, resize, flip."""

    size: int = 512  # the area of a training picture is size²
    multiple: int = 16  # of both sides: 8x codec times patch size 2
    fit: Fit = "stretch"
    crop_margin: float | None = (
        None  # crop to the mask with this share of its longer side around it; None does not crop
    )
    enlarge: bool = True  # False trains pictures smaller than size² at their own size
    flip: bool = False
    padding: float = 0.5  # gray of the letterbox

    def __post_init__(self) -> None:
        if self.size <= 0:
            raise ValueError(f"training size is {self.size}, expected a positive number of pixels")
        if self.multiple <= 0:
            raise ValueError(f"size multiple is {self.multiple}, expected a positive number of pixels")
        if self.fit not in FITS:
            raise ValueError(f"unknown fit {self.fit!r}, expected one of: {', '.join(get_args(Fit))}")
        if self.crop_margin is not None and not (math.isfinite(self.crop_margin) and self.crop_margin >= 0):
            raise ValueError(
                f"crop margin is {self.crop_margin}, expected 0 or more (0.1 = a tenth of the subject's longer side)"
            )
        if not 0 <= self.padding <= 1:
            raise ValueError(f"letterbox padding is {self.padding}, expected a gray from 0 to 1")


def training_size(width: int, height: int, size: int, multiple: int = 16) -> tuple[int, int]:
    """(width, height) nearest to the aspect of a picture and to the area size², both multiples of multiple."""
    if width <= 0 or height <= 0:
        raise ValueError(f"a picture of {width}x{height} pixels came, expected at least 1x1")
    if size <= 0:
        raise ValueError(f"training size is {size}, expected a positive number of pixels")
    ideal_width = size * math.sqrt(width / height)
    ideal_height = size * math.sqrt(height / width)

    def error(candidate: tuple[int, int]) -> float:
        stretched_x, stretched_y = math.log(candidate[0] / ideal_width), math.log(candidate[1] / ideal_height)
        return abs(stretched_x - stretched_y) + abs(stretched_x + stretched_y)  # of the aspect, of the area

    candidates = [
        (x, y) for x in _multiples_around(ideal_width, multiple) for y in _multiples_around(ideal_height, multiple)
    ]
    return min(candidates, key=error)


def _multiples_around(length: float, multiple: int) -> list[int]:
    below = max(1, math.floor(length / multiple))
    return [below * multiple, (below + 1) * multiple]


def frame(framed: Framed, framing: Framing) -> tuple[Framed, tuple[int, int]]:
    """The picture cropped and fitted at source resolution, and the (width, height) to resize it to."""
    if framing.crop_margin is not None:
        framed = crop_to_mask(framed, framing.crop_margin)
    if framing.fit == "letterbox":
        framed = letterbox(framed, 1.0, framing.padding)
    height, width = framed.mask.shape
    size = framing.size if framing.enlarge else min(framing.size, math.ceil(math.sqrt(width * height)))
    target = training_size(width, height, size, framing.multiple)
    if framing.fit == "crop":
        framed = crop_to_aspect(framed, target[0] / target[1])
    return framed, target
