"""Turns references into what a training step reads: latents, latent masks and prompts, encoded once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import length_hint
from typing import Any

import torch
from torch import Tensor

from ...masking import coverage
from ...masking.framing import Framing
from ..backbone import Backbone
from ..conditioning import Conditioning, of_one_length
from .augmentation import (
    HELD_BACK,
    Augmentation,
    ImageAugmentation,
    augmented_images,
    pasted_count,
    pasted_images,
)
from .background_source import BackgroundSource, BackgroundSources, background_sources
from .caption import draw_prompts
from .reading import describe_reading
from .reference import Reference


@dataclass(frozen=True)
class AugmentedReference:
    """One way to show a reference: latent [1,C,h,w] or [1,C,1,h,w], latent_mask and emphasis [1,1,h,w], conditioning of
    one prompt."""

    latent: Tensor
    latent_mask: Tensor
    conditioning: Conditioning
    emphasis: Tensor | None = None
    prompt: str = ""


@dataclass(frozen=True)
class EncodedReference:
    """One reference as the trainer reads it.

    latent: [1,C,h,w] or [1,C,1,h,w] float32; latent_mask: [1,1,h,w] float32 0..1; conditioning: one row, for `caption`.
    weight says how often it is drawn beside the others; image_size is (width, height) in pixels.
    augmented: the ways in which training shows it, all alike often; none means that it is only shown as it is.
    emphasis: [1,1,h,w] float32 0..1, 1 where an error counts most, or None.
    held_back: ways to show it that training never sees, by which a run is judged; none where it is only shown whole.
    drawing_passes: forward passes of the model that drew backgrounds; the first reference has those for all.
    reading: how all references of the run were read and shown, see `describe_reading`.
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
    held_back: tuple[AugmentedReference, ...] = ()
    drawing_passes: int = 0
    reading: Mapping[str, Any] = field(default_factory=dict)

    @property
    def coverage(self) -> float:
        """Mean of the latent mask, 0..1."""
        return float(coverage(self.latent_mask))

    @property
    def shown_as(self) -> tuple[AugmentedReference, ...]:
        return self.augmented or (
            AugmentedReference(self.latent, self.latent_mask, self.conditioning, self.emphasis, self.caption),
        )

    def without_augmentation(self) -> EncodedReference:
        """As the evaluation shows it: not mirrored, its prompt without chance."""
        return replace(self, augmented=(), held_back=())

    def held_back_views(self) -> EncodedReference:
        """Shown as the views that training never sees, of which there are some."""
        return replace(self, augmented=self.held_back, held_back=())


# Of pictures that are shown as they are.
UNCHANGED = Augmentation(images=ImageAugmentation(cut_paste=0.0))


@torch.no_grad()
def encode_references(
    backbone: Backbone,
    references: Iterable[Reference],
    framing: Framing,
    reduction: str = "area",
    augmentation: Augmentation = UNCHANGED,
    generator: torch.Generator | None = None,
) -> list[EncodedReference]:
    """Frames, resizes and encodes references one after the other: of an iterable that decodes them, one picture is held
    at a time.

    reduction: "area" or "max", how the mask gets to latent resolution. generator: a CPU generator for pictures and
    prompts with chance in them; without one they are the same in every run. Raises ValueError, one sentence that names
    the reference.
    """
    generator = generator or torch.Generator().manual_seed(0)
    reading = describe_reading(framing, augmentation, reduction)
    framing = replace(framing, multiple=backbone.size_multiple)
    pictures, sources = augmentation.images, None
    if pictures.pastes:
        sources = background_sources(backbone, pictures.backgrounds, pictures.background_images, generator)
    encoder = _ImageEncoder(backbone, framing, reduction, pictures, sources, length_hint(references, 1), generator)
    images = []
    for reference in references:
        images.append(encoder.encode(reference))
        del reference  # or it would stay in memory until the next one is decoded
    if not images:
        raise ValueError("no reference image came, expected at least one")
    # Prompts come after all pictures, so that a GPU with room for one of them loads VAE and text encoder once.
    conditionings: dict[str, Conditioning] = {}
    encoded = []
    for image in images:
        prompts = draw_prompts(augmentation.captions, image.caption, len(images), generator)
        shown = [
            (view, prompt)
            for view in pictures.repeat_by_share(image.shown, image.pasted)
            for prompt in _prompts_of(view, prompts.drawn, sources)
        ]
        held_back = [(view, _prompts_of(view, [prompts.plain], sources)[0]) for view in image.held_back]
        wanted = [prompts.plain, *(prompt for _, prompt in (*shown, *held_back))]
        for prompt in dict.fromkeys(wanted):
            if prompt not in conditionings:
                conditionings[prompt] = backbone.encode_prompt(prompt)
        plain, *others = of_one_length([conditionings[prompt] for prompt in wanted])
        views = [
            view.under(prompt, conditioning)
            for (view, prompt), conditioning in zip((*shown, *held_back), others, strict=True)
        ]
        shown_as, judged_by = tuple(views[: len(shown)]), tuple(views[len(shown) :])
        shown_reference = image.as_reference(plain, prompts.plain, shown_as if len(shown_as) > 1 else (), judged_by)
        encoded.append(replace(shown_reference, reading=reading))
    if sources is not None:
        encoded[0] = replace(encoded[0], drawing_passes=sources.passes.looking)
    return encoded


@dataclass(frozen=True)
class _View:
    """One picture of a reference before it has a prompt; words: what a prompt says of its background, None where it is
    the reference's own."""

    latent: Tensor
    latent_mask: Tensor
    emphasis: Tensor | None
    words: str | None = None

    def under(self, prompt: str, conditioning: Conditioning) -> AugmentedReference:
        return AugmentedReference(self.latent, self.latent_mask, conditioning, self.emphasis, prompt)


def _prompts_of(view: _View, drawn: Sequence[str], sources: BackgroundSources | None) -> list[str]:
    if view.words is None or sources is None:
        return list(drawn)
    return [sources.scenery.with_background(prompt, view.words) for prompt in drawn]


@dataclass(frozen=True)
class _EncodedImage:
    """A reference without its pixels: as it is and cropped, put elsewhere, and put where training never sees it."""

    shown: tuple[_View, ...]
    pasted: tuple[_View, ...]
    held_back: tuple[_View, ...]
    caption: str
    weight: float
    name: str
    size: tuple[int, int]

    def as_reference(
        self,
        conditioning: Conditioning,
        caption: str,
        augmented: tuple[AugmentedReference, ...],
        held_back: tuple[AugmentedReference, ...],
    ) -> EncodedReference:
        whole = self.shown[0]
        return EncodedReference(
            latent=whole.latent,
            latent_mask=whole.latent_mask,
            conditioning=conditioning,
            weight=self.weight,
            caption=caption,
            name=self.name,
            image_size=self.size,
            augmented=augmented,
            emphasis=whole.emphasis,
            held_back=held_back,
        )


@dataclass(frozen=True)
class _ImageEncoder:
    """Encodes the pictures of one run, of `count` references."""

    backbone: Backbone
    framing: Framing
    reduction: str
    augmentation: ImageAugmentation
    sources: BackgroundSources | None
    count: int
    generator: torch.Generator

    def encode(self, reference: Reference) -> _EncodedImage:
        shown, whole = [], None
        for prepared in augmented_images(reference, self.framing, self.augmentation, self.generator):
            whole = whole or prepared
            shown.append(self._view(prepared))
        assert whole is not None
        pasted: tuple[_View, ...] = ()
        held_back: tuple[_View, ...] = ()
        if self.sources is not None:
            pasted = self._pasted(whole, self.sources.training, pasted_count(self.count))
            held_back = self._pasted(whole, self.sources.held_back, max(1, HELD_BACK // self.count))
        height, width = whole.image.shape[:2]
        weight = reference.weight * reference.repeats
        return _EncodedImage(
            tuple(shown), pasted, held_back, reference.caption, weight, reference.name, (width, height)
        )

    def _pasted(self, whole: Reference, source: BackgroundSource, count: int) -> tuple[_View, ...]:
        moved = pasted_images(whole, source, self.augmentation, count, self.generator)
        return tuple(self._view(picture, words) for picture, words in moved)

    def _view(self, prepared: Reference, words: str | None = None) -> _View:
        latent = self.backbone.encode_image(prepared.image[None])
        if latent.ndim not in (4, 5):
            raise ValueError("masked context training expects 4D or 5D reference latents")
        size = (latent.shape[-2], latent.shape[-1])
        mask = prepared.latent_mask(size, self.reduction).to(latent.device)
        emphasis = prepared.latent_emphasis(size)
        return _View(latent, mask, None if emphasis is None else emphasis.to(latent.device), words)
