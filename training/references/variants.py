"""The ways in which one reference is shown in training, as several pictures and under several prompts, all encoded
before the first step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .augmentation import PictureVariety
from .caption import CaptionOptions, draw_caption, options_for, plain_prompt

# Prompts that are drawn and encoded for all references together, and at least for each: enough that a dropout of a
# tenth shows, few enough that a text encoder needs seconds.
ALL_PROMPTS = 64
LEAST_PROMPTS = 4


@dataclass(frozen=True)
class Augmentation:
    """How much references vary from step to step; the defaults show each in one way, under its own caption."""

    captions: CaptionOptions = CaptionOptions()
    pictures: PictureVariety = PictureVariety()


@dataclass(frozen=True)
class View:
    """One way to show a reference: latent [1,C,h,w] or [1,C,1,h,w], latent_mask and attention [1,1,h,w], context
    [1,L,D]."""

    latent: Tensor
    latent_mask: Tensor
    context: Tensor
    attention: Tensor | None = None


@dataclass(frozen=True)
class Prompts:
    """plain is what the evaluation shows a reference under; drawn holds what training draws from, the likelier ones
    more than once."""

    plain: str
    drawn: tuple[str, ...]


def draw_prompts(options: CaptionOptions, caption: str, reference_count: int, generator: torch.Generator) -> Prompts:
    """The prompts of a reference with this caption, one of `reference_count`. The generator is left alone where nothing
    is random."""
    options = options_for(options, caption)
    plain = plain_prompt(options, caption)
    if not options.is_random:
        return Prompts(plain, (plain,))
    count = max(LEAST_PROMPTS, ALL_PROMPTS // reference_count)
    return Prompts(plain, tuple(draw_caption(options, caption, generator) for _ in range(count)))
