"""The pictures as which one reference is shown in training: mirrored, cropped at random, before other backgrounds.

Tokens that see one picture learn it by heart, pose and place included. What changes from picture to picture is what
they cannot hold on to.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar, get_args

import torch
from torch import Tensor

from ...masking.framed import (
    Framed,
    crop,
    crop_to_aspect,
    random_window,
    replace_background,
    resize_mask,
    resize_picture,
)
from ...masking.framing import Framing
from .prepare import frame_reference, prepare_reference, resize_framed
from .reference import Reference

T = TypeVar("T")

Backgrounds = Literal["its own", "plain colours", "noise", "pictures"]

BACKGROUNDS: dict[Backgrounds, str] = {
    "its own": "the one it has",
    "plain colours": "one colour each",
    "noise": "a colour of its own for each pixel",
    "pictures": "those that were given for it",
}

# Pictures that are drawn and encoded for each reference: enough that none is learned by heart, few enough that a VAE
# needs seconds.
DRAWN_PICTURES = 8
LARGEST_CROP = 0.9


@dataclass(frozen=True)
class PictureVariety:
    """flip: mirrored in half of the draws. Off for asymmetric characters: an eyepatch changes sides.

    random_crop: the share of each side that a random crop may cut off, 0 (none) to 0.9; half of the subject or more
    stays.
    backgrounds: before what the subject is put, cut out by its mask; background_pictures, [H,W,3] in 0..1 each, are
    those of "pictures". Raises ValueError for what makes no sense.
    """

    flip: bool = False
    random_crop: float = 0.0
    backgrounds: Backgrounds = "its own"
    background_pictures: tuple[Tensor, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.random_crop <= LARGEST_CROP:
            raise ValueError(f"random_crop is {self.random_crop}, expected 0 (off) to {LARGEST_CROP}")
        if self.backgrounds not in BACKGROUNDS:
            raise ValueError(
                f"unknown backgrounds {self.backgrounds!r}, expected one of: {', '.join(get_args(Backgrounds))}"
            )
        if self.backgrounds == "pictures" and not self.background_pictures:
            raise ValueError("no background picture came, expected at least one for backgrounds 'pictures'")

    def in_shares(self, shown: Sequence[T]) -> tuple[T, ...]:
        """What `appearances` gave, as often as training shows it: half of the draws show the reference as it is, where
        others are drawn."""
        plain, drawn = list(shown[: 2 if self.flip else 1]), list(shown[2 if self.flip else 1 :])
        return (*plain * max(1, len(drawn) // len(plain)), *drawn)

    @property
    def is_drawn(self) -> bool:
        """False where chance has no part in the pictures."""
        return self.random_crop > 0 or self.backgrounds != "its own"


def appearances(
    reference: Reference, framing: Framing, variety: PictureVariety, generator: torch.Generator
) -> Iterator[Reference]:
    """The reference prepared for training as it is, mirrored where that is asked for, then as pictures that are drawn;
    all of one size.

    generator: a CPU generator, left alone where nothing is drawn.
    """
    yield prepare_reference(reference, framing)
    if variety.flip:
        yield prepare_reference(reference, replace(framing, flip=not framing.flip))
    if not variety.is_drawn:
        return
    framed, size = frame_reference(reference, framing)
    for _ in range(DRAWN_PICTURES):
        shown = framed
        if variety.random_crop > 0:
            shown = crop(framed, random_window(framed.mask, 1 - variety.random_crop, generator))
        mirrored = variety.flip and _chance(generator) < 0.5
        varied = resize_framed(reference, shown, size, framing.flip != mirrored)
        if variety.backgrounds != "its own":
            varied = _before_background(varied, variety, generator)
        yield varied


def _before_background(reference: Reference, variety: PictureVariety, generator: torch.Generator) -> Reference:
    height, width = reference.image.shape[:2]
    if variety.backgrounds == "plain colours":
        background = torch.rand(3, generator=generator).expand(height, width, 3)
    elif variety.backgrounds == "noise":
        background = torch.rand(height, width, 3, generator=generator)
    else:
        chosen = variety.background_pictures[math.floor(_chance(generator) * len(variety.background_pictures))]
        background = resize_picture(_of_aspect(chosen, width / height), width, height)
    assert reference.mask is not None
    mask = resize_mask(reference.mask, width, height)
    return replace(reference, image=replace_background(Framed(reference.image, mask), background).image)


def _of_aspect(picture: Tensor, aspect: float) -> Tensor:
    return crop_to_aspect(Framed(picture, picture[..., 0]), aspect).image


def _chance(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator))
