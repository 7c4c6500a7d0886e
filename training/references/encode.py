"""Turns references into what a training step reads: latents, latent masks and prompts, encoded once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...masking import coverage
from ...masking.framing import Framing
from ..backbone import Backbone
from ..conditioning import Conditioning, of_one_length
from .augmentation import Augmentation, ImageAugmentation, augmented_images
from .caption import draw_prompts
from .reference import Reference


@dataclass(frozen=True)
class AugmentedReference:
    """One way to show a reference: latent [1,C,h,w] or [1,C,1,h,w], latent_mask and emphasis [1,1,h,w], one prompt."""

    latent: Tensor
    latent_mask: Tensor
    conditioning: Conditioning
    emphasis: Tensor | None = None


@dataclass(frozen=True)
class EncodedReference:
    """One reference as the trainer reads it.

    latent: [1,C,h,w] or [1,C,1,h,w] float32; latent_mask: [1,1,h,w] float32 0..1; conditioning: one row, for `caption`.
    weight says how often it is drawn beside the others; image_size is (width, height) in pixels.
    augmented: the ways in which training shows it, all alike often; none means that it is only shown as it is.
    emphasis: [1,1,h,w] float32 0..1, 1 where an error counts most, or None.
    """

    latent: Tensor
    latent_mask: Tensor
    conditioning: Conditioning
    weight: float = 1.0
    caption: str = ""
    name: str = "reference"
    image_size: tuple[int, int] = (0, 0)
    augmented: tuple[AugmentedReference, ...] = ()
    emphasis: Tensor | None = None

    @property
    def coverage(self) -> float:
        """Mean of the latent mask, 0..1."""
        return float(coverage(self.latent_mask))

    @property
    def shown_as(self) -> tuple[AugmentedReference, ...]:
        return self.augmented or (AugmentedReference(self.latent, self.latent_mask, self.conditioning, self.emphasis),)

    def without_augmentation(self) -> EncodedReference:
        """As the evaluation shows it: not mirrored, its prompt without chance."""
        return replace(self, augmented=())


@torch.no_grad()
def encode_references(
    backbone: Backbone,
    references: Iterable[Reference],
    framing: Framing,
    reduction: str = "area",
    augmentation: Augmentation = Augmentation(),
    generator: torch.Generator | None = None,
) -> list[EncodedReference]:
    """Frames, resizes and encodes references one after the other: of an iterable that decodes them, one picture is held
    at a time.

    reduction: "area" or "max", how the mask gets to latent resolution. generator: a CPU generator for pictures and
    prompts with chance in them; without one they are the same in every run. Raises ValueError, one sentence that names
    the reference.
    """
    generator = generator or torch.Generator().manual_seed(0)
    framing = replace(framing, multiple=backbone.size_multiple)
    images = []
    for reference in references:
        images.append(_encode_image(backbone, reference, framing, reduction, augmentation.images, generator))
        del reference  # or it would stay in memory until the next one is decoded
    if not images:
        raise ValueError("no reference image came, expected at least one")
    # Prompts come after all pictures, so that a GPU with room for one of them loads VAE and text encoder once.
    conditionings: dict[str, Conditioning] = {}
    encoded = []
    for image in images:
        prompts = draw_prompts(augmentation.captions, image.caption, len(images), generator)
        for prompt in dict.fromkeys((prompts.plain, *prompts.drawn)):
            if prompt not in conditionings:
                conditionings[prompt] = backbone.encode_prompt(prompt)
        plain, *drawn = of_one_length([conditionings[prompt] for prompt in (prompts.plain, *prompts.drawn)])
        shown = augmentation.images.repeat_by_share(image.shown)
        shown_as = [
            AugmentedReference(latent, mask, conditioning, emphasis)
            for latent, mask, emphasis in shown
            for conditioning in drawn
        ]
        latent, latent_mask, emphasis = image.shown[0]
        encoded.append(
            EncodedReference(
                latent=latent,
                latent_mask=latent_mask,
                conditioning=plain,
                weight=image.weight,
                caption=prompts.plain,
                name=image.name,
                image_size=image.size,
                augmented=tuple(shown_as) if len(shown_as) > 1 else (),
                emphasis=emphasis,
            )
        )
    return encoded


@dataclass(frozen=True)
class _EncodedImage:
    """A reference without its pixels: (latent, latent mask, emphasis) as it is, then augmented."""

    shown: tuple[tuple[Tensor, Tensor, Tensor | None], ...]
    caption: str
    weight: float
    name: str
    size: tuple[int, int]


def _encode_image(
    backbone: Backbone,
    reference: Reference,
    framing: Framing,
    reduction: str,
    augmentation: ImageAugmentation,
    generator: torch.Generator,
) -> _EncodedImage:
    shown = []
    for prepared in augmented_images(reference, framing, augmentation, generator):
        height, width = prepared.image.shape[:2]
        latent = backbone.encode_image(prepared.image[None])
        if latent.ndim not in (4, 5):
            raise ValueError("masked context training expects 4D or 5D reference latents")
        size = (latent.shape[-2], latent.shape[-1])
        emphasis = prepared.latent_emphasis(size)
        shown.append(
            (
                latent,
                prepared.latent_mask(size, reduction).to(latent.device),
                None if emphasis is None else emphasis.to(latent.device),
            )
        )
    return _EncodedImage(
        tuple(shown), reference.caption, reference.weight * reference.repeats, reference.name, (width, height)
    )
