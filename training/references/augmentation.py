"""The pictures as which one reference is shown in training: mirrored, cropped at random, before other backgrounds.

Tokens that see one picture learn it by heart, pose and place included. What changes from picture to picture is what
they cannot hold on to.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import torch
from torch import Tensor

from ...declared import ARTIST, check, setting
from ...masking.framed import (
    Framed,
    crop,
    crop_to_aspect,
    random_window,
    replace_background,
    resize_image,
    resize_mask,
)
from ...masking.framing import Framing
from .caption import VARIETY, CaptionOptions
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
DRAWN_IMAGES = 8
LARGEST_CROP = 0.9


@dataclass(frozen=True)
class ImageAugmentation:
    """flip: mirrored in half of the draws. Off for asymmetric characters: an eyepatch changes sides.

    random_crop: the share of each side that a random crop may cut off, 0 (none) to 0.9; half of the subject or more
    stays.
    backgrounds: before what the subject is put, cut out by its mask; background_pictures, [H,W,3] in 0..1 each, are
    those of "pictures". Raises ValueError for what makes no sense.
    """

    flip: bool = setting(
        False,
        help="Show every reference mirrored in half of its draws. Leave it off for asymmetric characters: an eyepatch "
        "changes sides.",
        topic=VARIETY,
        audience=ARTIST,
        node_id="flip_augmentation",
    )
    random_crop: float = setting(
        0.0,
        help="Show the reference cropped at random in half of its draws: the share of each side that a crop may cut "
        "off. 0 is off. With 0.3 less of pose and place is learned, so that the subject is drawn more freely, with "
        "less detail.",
        topic=VARIETY,
        audience=ARTIST,
        least=0.0,
        most=LARGEST_CROP,
        off=0.0,
        step=0.01,
    )
    backgrounds: Backgrounds = setting(
        "its own",
        help="In half of the draws put the subject, cut out by its mask, before another background, so that the "
        "context leans less on its own.",
        topic=VARIETY,
        audience=ARTIST,
        choices=BACKGROUNDS,
    )
    background_images: tuple[Tensor, ...] = ()

    def __post_init__(self) -> None:
        check(self)
        if self.backgrounds == "pictures" and not self.background_images:
            raise ValueError("no background picture came, expected at least one for backgrounds 'pictures'")

    def repeat_by_share(self, shown: Sequence[T]) -> tuple[T, ...]:
        """What `appearances` gave, as often as training shows it: half of the draws show the reference as it is, where
        others are drawn."""
        plain, drawn = list(shown[: 2 if self.flip else 1]), list(shown[2 if self.flip else 1 :])
        return (*plain * max(1, len(drawn) // len(plain)), *drawn)

    @property
    def is_random(self) -> bool:
        """False where chance has no part in the pictures."""
        return self.random_crop > 0 or self.backgrounds != "its own"


@dataclass(frozen=True)
class Augmentation:
    """How much references vary from step to step; the defaults show each in one way, under its own caption."""

    captions: CaptionOptions = CaptionOptions()
    images: ImageAugmentation = ImageAugmentation()


def augmented_images(
    reference: Reference, framing: Framing, augmentation: ImageAugmentation, generator: torch.Generator
) -> Iterator[Reference]:
    """The reference prepared for training as it is, mirrored where that is asked for, then as pictures that are drawn;
    all of one size.

    generator: a CPU generator, left alone where nothing is drawn.
    """
    yield prepare_reference(reference, framing)
    if augmentation.flip:
        yield prepare_reference(reference, replace(framing, flip=not framing.flip))
    if not augmentation.is_random:
        return
    framed, size = frame_reference(reference, framing)
    for _ in range(DRAWN_IMAGES):
        shown = framed
        if augmentation.random_crop > 0:
            shown = crop(framed, random_window(framed.mask, 1 - augmentation.random_crop, generator))
        mirrored = augmentation.flip and _chance(generator) < 0.5
        varied = resize_framed(reference, shown, size, framing.flip != mirrored)
        if augmentation.backgrounds != "its own":
            varied = _before_background(varied, augmentation, generator)
        yield varied


def _before_background(reference: Reference, augmentation: ImageAugmentation, generator: torch.Generator) -> Reference:
    height, width = reference.image.shape[:2]
    if augmentation.backgrounds == "plain colours":
        background = torch.rand(3, generator=generator).expand(height, width, 3)
    elif augmentation.backgrounds == "noise":
        background = torch.rand(height, width, 3, generator=generator)
    else:
        chosen = augmentation.background_images[math.floor(_chance(generator) * len(augmentation.background_images))]
        background = resize_image(_of_aspect(chosen, width / height), width, height)
    assert reference.mask is not None
    mask = resize_mask(reference.mask, width, height)
    return replace(reference, image=replace_background(Framed(reference.image, mask), background).image)


def _of_aspect(image: Tensor, aspect: float) -> Tensor:
    return crop_to_aspect(Framed(image, image[..., 0]), aspect).image


def _chance(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator))
