"""References under the empty prompt, where nothing may change: what a LoRA does to the negative prompt, guidance takes
away from what it does to the prompt."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import torch

from ..conditioning import Conditioning, of_one_length
from .encode import EncodedReference

ONE_IN = 5  # draws


def held_without_prompt(
    references: Sequence[EncodedReference], encode_prompt: Callable[[str], Conditioning]
) -> list[EncodedReference]:
    """The references, shown under the empty prompt with a black mask in one of `ONE_IN` draws. One that is learned
    under the empty prompt stays as it is."""
    encoded = cache(encode_prompt)
    held = []
    for reference in references:
        if any(not view.prompt.strip() for view in reference.shown_as):
            held.append(reference)
            continue
        learned = reference.shown_as * math.ceil((ONE_IN - 1) / len(reference.shown_as))
        shown = learned[:: ONE_IN - 1]
        views = [*learned, *reference.held_back]
        empty, own, *conditionings = of_one_length(
            [encoded(""), reference.conditioning, *(view.conditioning for view in views)]
        )
        black = [
            replace(view, latent_mask=torch.zeros_like(view.latent_mask), conditioning=empty, prompt="")
            for view in shown
        ]
        views = [
            replace(view, conditioning=conditioning) for view, conditioning in zip(views, conditionings, strict=True)
        ]
        augmented, held_back = (*views[: len(learned)], *black), tuple(views[len(learned) :])
        held.append(replace(reference, conditioning=own, augmented=augmented, held_back=held_back))
    return held
