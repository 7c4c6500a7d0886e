"""The pictures as which one reference is shown in training: mirrored, cropped at random, cut out and put elsewhere.

Tokens that see one picture learn it by heart, pose and place included. What changes from picture to picture is what
they cannot hold on to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import torch
from torch import Tensor

from ...declared import ARTIST, check, setting
from ...masking.cut_paste import can_be_cut_out, draw_placement, paste
from ...masking.framed import Framed, crop, flip, random_window, resize_mask
from ...masking.framing import Framing
from .background_source import BackgroundSource
from .caption import VARIETY, CaptionOptions
from .prepare import frame_reference, prepare_reference, resize_framed
from .reference import Reference

T = TypeVar("T")

Backgrounds = Literal["drawn", "plain colours", "noise", "pictures", "its own"]

BACKGROUNDS: dict[Backgrounds, str] = {
    "drawn": "drawn by the model itself, and named in the prompt",
    "plain colours": "one colour each, named in the prompt",
    "noise": "a colour of its own for each pixel",
    "pictures": "those that were given for it",
    "its own": "none but the one it has, so nothing is cut out",
}

# Pictures that are made and encoded for each reference: enough that none is learned by heart, few enough that a VAE
# needs seconds. Many references share the larger number.
DRAWN_IMAGES = 8
PASTED_IMAGES, FEWEST_PASTED = 48, 4
# Pasted views that training never sees, by which a run is judged: of all references together.
HELD_BACK = 4
LARGEST_CROP = 0.9


@dataclass(frozen=True)
class ImageAugmentation:
    """flip: mirrored in half of the draws. Off for asymmetric characters: an eyepatch changes sides.

    cut_paste: the share of draws in which the subject, cut out by its mask, stands elsewhere before another background.
    random_crop: the share of each side that a random crop may cut off, 0 (none) to 0.9; half of the subject or more
    stays.
    backgrounds: before what the subject is put; background_images, [H,W,3] in 0..1 each, are those of "pictures".
    Raises ValueError for what makes no sense.
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
    cut_paste: float = setting(
        0.75,
        help="Share of the draws in which the subject, cut out by its mask, stands at another place, larger or "
        "smaller, before another background, so that the context carries the subject and not its picture. The other "
        "draws show the reference as it is. 0 is off.",
        topic=VARIETY,
        audience=ARTIST,
        least=0.0,
        most=1.0,
        step=0.01,
    )
    backgrounds: Backgrounds = setting(
        "drawn",
        help="Before which backgrounds cut_paste puts the subject.",
        topic=VARIETY,
        audience=ARTIST,
        choices=BACKGROUNDS,
    )
    background_images: tuple[Tensor, ...] = ()

    def __post_init__(self) -> None:
        check(self)
        if self.backgrounds == "pictures" and not self.background_images:
            raise ValueError("no background picture came, expected at least one for backgrounds 'pictures'")

    @property
    def pastes(self) -> bool:
        return self.cut_paste > 0 and self.backgrounds != "its own"

    def repeat_by_share(self, shown: Sequence[T], pasted: Sequence[T]) -> tuple[T, ...]:
        """Of one reference, as often as training shows each: `pasted` in cut_paste of the draws; of the others, half
        show it as it is where there are crops too."""
        plain, cropped = list(shown[: 2 if self.flip else 1]), list(shown[2 if self.flip else 1 :])
        whole = (*plain * max(1, len(cropped) // len(plain)), *cropped)
        if not pasted:
            return whole
        if self.cut_paste == 1:
            return tuple(pasted)
        wanted = len(pasted) * (1 - self.cut_paste) / self.cut_paste
        return (*whole * max(1, round(wanted / len(whole))), *pasted)


@dataclass(frozen=True)
class Augmentation:
    """How much references vary from step to step; the defaults show each in one way, under its own caption."""

    captions: CaptionOptions = CaptionOptions()
    images: ImageAugmentation = ImageAugmentation()


# A reference as it stands elsewhere, and what a prompt says of its background.
Pasted = tuple[Reference, str]


def augmented_images(
    reference: Reference, framing: Framing, augmentation: ImageAugmentation, generator: torch.Generator
) -> Iterator[Reference]:
    """The reference prepared for training as it is, mirrored where that is asked for, then cropped at random; all of
    one size.

    generator: a CPU generator, left alone where nothing is drawn.
    """
    yield prepare_reference(reference, framing)
    if augmentation.flip:
        yield prepare_reference(reference, replace(framing, flip=not framing.flip))
    if augmentation.random_crop == 0:
        return
    framed, size = frame_reference(reference, framing)
    for _ in range(DRAWN_IMAGES):
        shown = crop(framed, random_window(framed.mask, 1 - augmentation.random_crop, generator))
        mirrored = augmentation.flip and _chance(generator) < 0.5
        yield resize_framed(reference, shown, size, framing.flip != mirrored)


def pasted_images(
    prepared: Reference,
    backgrounds: BackgroundSource,
    augmentation: ImageAugmentation,
    count: int,
    generator: torch.Generator,
) -> Iterator[Pasted]:
    """`count` pictures of a prepared reference cut out and put elsewhere; none where its mask leaves no background.

    generator: a CPU generator, left alone where nothing is drawn.
    """
    height, width = prepared.image.shape[:2]
    assert prepared.mask is not None
    mask = resize_mask(prepared.mask, width, height)
    if not can_be_cut_out(mask):
        return
    image = prepared.image
    if prepared.emphasis is not None:
        image = torch.cat([image, prepared.emphasis[..., None]], dim=-1)  # a fourth channel goes where the picture goes
    for number in range(count):
        framed = Framed(image, mask)
        if augmentation.flip and _chance(generator) < 0.5:
            framed = flip(framed)
        background, words = backgrounds.background(number, (width, height), generator)
        pasted = paste(framed, draw_placement(framed.mask, generator), background)
        emphasis = pasted.image[..., 3] if prepared.emphasis is not None else None
        yield replace(prepared, image=pasted.image[..., :3], mask=pasted.mask, emphasis=emphasis), words


def pasted_count(references: int) -> int:
    """How many pictures each of so many references is pasted into."""
    return max(FEWEST_PASTED, PASTED_IMAGES // references)


def _chance(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator))
