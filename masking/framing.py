"""How large a picture is trained: of its aspect, of a given area, with sides that the model accepts."""

import math
from dataclasses import dataclass
from typing import Literal

from ..declared import ARTIST, check, setting
from .framed import Framed, crop_to_aspect, crop_to_mask, letterbox

Fit = Literal["stretch", "crop", "letterbox"]


FITS: dict[Fit, str] = {
    "stretch": "the nearest size of the same aspect; a side is stretched by a few pixels where it is no multiple of 16",
    "crop": "the same size without stretching: a few pixels are cut at two sides instead",
    "letterbox": "a square; the free part is gray and has weight 0 in the mask",
}


PICTURE = "Mask and picture"
LARGEST_ENLARGEMENT = 2.0  # of the sides; what is enlarged more is mostly invented


@dataclass(frozen=True)
class Framing:
    """How references are brought to training size; the steps run in the order crop, fit, resize, flip.

    multiple: of both sides, an 8x codec times patch size 2; padding: gray of the letterbox, 0 to 1.
    """

    size: int = setting(
        512,
        help="The picture is resized to about this side length squared and keeps its aspect. Half the size trains "
        "about four times as fast; details smaller than 16 pixels get lost.",
        topic="Training",
        audience=ARTIST,
        least=32,
        most=4096,
        widget_least=64,
        widget_most=2048,
        step=16,
        unit="pixels",
        public_id="training_image_size",
        option="size",
    )
    multiple: int = 16
    fit: Fit = setting(
        "stretch", help="How a picture gets sides that are multiples of 16.", topic=PICTURE, choices=FITS
    )
    crop_to_mask: bool = setting(
        False,
        help="Crop the picture to the mask before training, so that a small subject fills the frame.",
        topic=PICTURE,
        audience=ARTIST,
    )
    crop_margin: float = setting(
        0.1,
        help="What stays around the mask when cropping, as a share of the longer side of the subject.",
        topic=PICTURE,
        least=0.0,
        most=100.0,
        widget_most=2.0,
        step=0.01,
    )
    enlarge: bool = setting(
        True,
        help="Off: pictures and crops smaller than the training size train at their own size, which is faster and "
        "invents no detail.",
        topic="Variety",
    )
    flip: bool = False
    padding: float = 0.5

    def __post_init__(self) -> None:
        check(self)
        if self.multiple <= 0:
            raise ValueError(f"size multiple is {self.multiple}, expected a positive number of pixels")
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
    if framing.crop_to_mask:
        framed = crop_to_mask(framed, framing.crop_margin)
    if framing.fit == "letterbox":
        framed = letterbox(framed, 1.0, framing.padding)
    height, width = framed.mask.shape
    size = framing.size if framing.enlarge else min(framing.size, math.ceil(math.sqrt(width * height)))
    target = training_size(width, height, size, framing.multiple)
    if framing.fit == "crop":
        framed = crop_to_aspect(framed, target[0] / target[1])
    return framed, target


def enlargement_warning(source: tuple[int, int], target: tuple[int, int]) -> str:
    """A sentence where a picture or its crop of (width, height) is enlarged more than twice to its training size, else
    nothing."""
    factor = math.sqrt(target[0] * target[1] / (source[0] * source[1]))
    if factor <= LARGEST_ENLARGEMENT:
        return ""
    return (
        f"it is enlarged {factor:.1f} times for training, from {source[0]}x{source[1]} to {target[0]}x{target[1]} "
        "pixels: bring a larger picture, or lower training_image_size"
    )
