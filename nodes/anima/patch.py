"""Adds a trained context to a model: the tokens of each block join the prompt in that block's cross-attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...training.trainables.context_file import ReferenceContext
from ...training.trainables.context_tokens import ContextTokens, level_range
from .family import family_of
from .insertion import FreeSlots, TokenSet, insert_into_call

ApplyTo = Literal["positive", "negative", "both"]

LARGEST_SCALE = 3.0  # that the nodes offer

# Which prompt a row belongs to, in ComfyUI's `cond_or_uncond`.
POSITIVE, NEGATIVE = 0, 1


@dataclass(frozen=True)
class AppliedContext:
    """What each prompt takes, and the sigmas between which it acts.

    Scaled tokens [blocks,K,D], one for each of as many equal ranges of sigma; empty where a prompt takes none.
    """

    positive_tokens: tuple[Tensor, ...]
    negative_tokens: tuple[Tensor, ...]
    highest_sigma: float
    lowest_sigma: float

    def tokens_for(self, prompt: int, sigma: float | None) -> Tensor | None:
        """Those of the range that sigma lies in; the middle range where a caller does not say its sigma."""
        ranges = {POSITIVE: self.positive_tokens, NEGATIVE: self.negative_tokens}.get(prompt, ())
        if len(ranges) < 2:  # asked in every block of every step
            return ranges[0] if ranges else None
        return ranges[int(level_range(torch.tensor(0.5 if sigma is None else sigma), len(ranges)))]


def patch_model(
    model: ModelPatcher,
    context: ReferenceContext,
    scale: float = 1.0,
    start_percent: float = 0.0,
    end_percent: float = 1.0,
    apply_to: ApplyTo = "positive",
) -> ModelPatcher:
    """A clone of `model` whose cross-attention reads the context beside the prompt; `model` itself is not touched.

    scale: 1 is what was trained; at 0 the clone samples what `model` samples, bit by bit.
    start_percent, end_percent: the part of the sampling schedule in which the context acts, as in
    ConditioningSetTimestepRange.
    apply_to: with "negative" and "both", the negative prompt takes the context's negative tokens where it has some,
    else its tokens. Raises ValueError where the model is not Anima or the context was trained for another model.
    """
    family = family_of(model)
    context.check_fits(*family.context_shape(model), family.name)
    patched = model.clone()
    if scale == 0 or start_percent >= end_percent:
        return patched
    sampling = model.get_model_object("model_sampling")
    negative = context.negative or context.positive
    middles = [(number + 0.5) / context.ranges for number in range(context.ranges)]
    applied = AppliedContext(
        positive_tokens=_scaled(context.positive, middles, scale) if apply_to != "negative" else (),
        negative_tokens=_scaled(negative, middles, scale) if apply_to != "positive" else (),
        highest_sigma=sampling.percent_to_sigma(start_percent),
        lowest_sigma=sampling.percent_to_sigma(end_percent),
    )
    _chain(patched, applied)
    return patched


def _scaled(tokens: ContextTokens, levels: list[float], scale: float) -> tuple[Tensor, ...]:
    """[blocks,K,D] for each level."""
    return tuple(tokens.at_level(level) * scale for level in levels)


def _chain(model: ModelPatcher, applied: AppliedContext) -> None:
    """Add to the contexts that `model` already carries; one patch acts for all of them."""
    patches = model.model_options["transformer_options"].setdefault("patches", {})
    existing = patches.get("attn2_patch", [])
    chained = [patch.applied for patch in existing if isinstance(patch, ContextPatch)]
    others = [patch for patch in existing if not isinstance(patch, ContextPatch)]
    patches["attn2_patch"] = [*others, ContextPatch((*(context for group in chained for context in group), applied))]


class ContextPatch:
    """An attn2_patch that inserts one or more contexts. ComfyUI calls `cleanup` when sampling ends."""

    def __init__(self, applied: tuple[AppliedContext, ...]) -> None:
        self.applied = applied
        self._free = FreeSlots()
        self._on_device: dict[tuple[int, torch.device, torch.dtype], Tensor] = {}
        self._sigma: tuple[Tensor, float] | None = None

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, extra_options: dict, **_: Any) -> dict[str, Tensor]:
        """q, k, v before their projections; k and v are the conditioning [B,L,D] of a batch of prompts."""
        sets = []
        sigma = self._current_sigma(extra_options.get("sigmas"))
        for context in self._acting(sigma):
            for prompt in (POSITIVE, NEGATIVE):
                tokens = context.tokens_for(prompt, sigma)
                rows = rows_of(prompt, extra_options["cond_or_uncond"], k.shape[0])
                if tokens is not None and any(rows):
                    sets.append(TokenSet(self._like(tokens, k)[extra_options["block_index"]], rows))
        return insert_into_call(k, v, sets, extra_options, self._free) if sets else {}

    def cleanup(self) -> None:
        """Let go of what belongs to one sampling run, copies on the GPU among it."""
        self._free.forget()
        self._on_device.clear()
        self._sigma = None

    def _acting(self, sigma: float | None) -> list[AppliedContext]:
        return [
            context
            for context in self.applied
            if sigma is None or context.lowest_sigma <= sigma <= context.highest_sigma
        ]

    def _current_sigma(self, sigmas: Tensor | None) -> float | None:
        """The sigma of this step; read from the device once a step, not once a block."""
        if sigmas is None:
            return None
        last = self._sigma
        if last is None or last[0] is not sigmas:
            last = (sigmas, float(sigmas.flatten()[0]))
            self._sigma = last
        return last[1]

    def _like(self, tokens: Tensor, context: Tensor) -> Tensor:
        key = (id(tokens), context.device, context.dtype)
        if key not in self._on_device:
            self._on_device[key] = tokens.to(context)
        return self._on_device[key]


def rows_of(prompt: int, cond_or_uncond: list[int], batch: int) -> tuple[bool, ...]:
    """For each row of a batch whether it belongs to `prompt`; ComfyUI lays out one equal run of rows for each entry."""
    rows_each = batch // len(cond_or_uncond)
    return tuple(entry == prompt for entry in cond_or_uncond for _ in range(rows_each))
