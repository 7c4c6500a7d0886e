"""A context as sampling reads it: which prompts take which tokens, at which sigmas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...training.trainables.context_file import ReferenceContext
from ...training.trainables.context_tokens import ContextTokens, level_range
from ...training.trainables.placed_tokens import PlacedTokens
from ...training.trainables.scale_schedule import ScaleSchedule, SigmaCurve
from .families import token_family_of
from .noise import ModelNoise
from .token_source import TokenPatch, TokenSet

LARGEST_SCALE = 3.0  # that the nodes offer

# Which prompt a row belongs to, in ComfyUI's `cond_or_uncond`.
POSITIVE, NEGATIVE = 0, 1


@dataclass(frozen=True)
class Strength:
    """How strongly a context acts, and when.

    scale: 1 is what was trained. start_percent, end_percent: the part of the sampling schedule in which it acts, as in
    ConditioningSetTimestepRange. schedule: a factor over that schedule. blocks: a factor for each block, or none.
    Raises ValueError where it would act in no step.
    """

    scale: float = 1.0
    start_percent: float = 0.0
    end_percent: float = 1.0
    schedule: ScaleSchedule | None = None
    blocks: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.start_percent >= self.end_percent:
            raise ValueError(
                f"start_percent is {self.start_percent:g} and end_percent {self.end_percent:g}, expected an end after "
                "the start: as it is, the context acts in no step"
            )


@dataclass(frozen=True)
class Part:
    """Scaled tokens [blocks,K,D], one for each of as many equal ranges of levels, for the rows of one prompt; for all
    rows where `prompt` is None."""

    prompt: int | None
    tokens: tuple[PlacedTokens, ...]

    def at(self, level: float) -> PlacedTokens:
        """Those of the range that a level lies in."""
        if len(self.tokens) == 1:  # asked in every block of every step
            return self.tokens[0]
        return self.tokens[int(level_range(torch.tensor(level), len(self.tokens)))]


@dataclass(frozen=True)
class AppliedContext:
    """What the prompts take, the sigmas between which it acts, and a factor over them."""

    parts: tuple[Part, ...]
    highest_sigma: float
    lowest_sigma: float
    curve: SigmaCurve | None = None

    def factor(self, sigma: float | None) -> float:
        """0 where it does not act; a caller that does not say its sigma gets what was trained."""
        if sigma is None:
            return 1.0
        if not self.lowest_sigma <= sigma <= self.highest_sigma:
            return 0.0
        return 1.0 if self.curve is None else self.curve.at(sigma)


def check_fits(model: ModelPatcher, context: ReferenceContext) -> None:
    """Raises ValueError where the model has no way in or the context was trained for another model."""
    family = token_family_of(model)
    ModelNoise(model.get_model_object("model_sampling"))
    context.check_fits(*family.context_shape(model.model), family.name, family.own_attention)


def applied(
    sampling: Any, tokens: Sequence[tuple[int | None, ContextTokens]], ranges: int, strength: Strength
) -> AppliedContext:
    """tokens: of which prompt's rows (None: all) take which. ranges: how many equal ranges of levels have tokens of
    their own. sampling: the model's model_sampling."""
    middles = [(number + 0.5) / ranges for number in range(ranges)]
    return AppliedContext(
        parts=tuple(
            Part(prompt, tuple(one.scaled(strength.scale, strength.blocks).placed_at_level(level) for level in middles))
            for prompt, one in tokens
        ),
        highest_sigma=sampling.percent_to_sigma(strength.start_percent),
        lowest_sigma=sampling.percent_to_sigma(strength.end_percent),
        curve=None if strength.schedule is None else strength.schedule.by_sigma(sampling.percent_to_sigma),
    )


class ContextReader:
    """The `TokenSource` of sampling: one or more contexts, each with its sigmas and prompts.

    level_of: the trainer's level of a sampler's sigma.
    """

    def __init__(self, applied: tuple[AppliedContext, ...], level_of: Callable[[float], float]) -> None:
        self.applied = applied
        self._level_of = level_of
        self._on_device: dict[tuple[int, torch.device, torch.dtype], Tensor] = {}
        self._sigma: tuple[Tensor, float] | None = None

    def sets(self, block: int, rows: int, like: Tensor, options: dict[str, Any]) -> list[TokenSet]:
        sets = []
        sigma = self._current_sigma(options.get("sigmas"))
        level = 0.5 if sigma is None else self._level_of(sigma)
        for context in self.applied:
            factor = context.factor(sigma)
            for part in context.parts if factor else ():
                taken = rows_of(part.prompt, options["cond_or_uncond"], rows)
                for blocks, own in part.at(level).by_attention() if any(taken) else ():
                    if block < len(blocks):  # tokens of other projects may be for the first blocks alone
                        tokens = self._like(blocks, like)[block]
                        sets.append(TokenSet(tokens if factor == 1 else tokens * factor, taken, own))
        return sets

    def forget(self) -> None:
        """Let go of what belongs to one sampling run, copies on the GPU among it."""
        self._on_device.clear()
        self._sigma = None

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


def rows_of(prompt: int | None, cond_or_uncond: list[int], batch: int) -> tuple[bool, ...]:
    """For each row of a batch whether it belongs to `prompt` (None: to any); ComfyUI lays out one equal run of rows for
    each entry."""
    rows_each = batch // len(cond_or_uncond)
    return tuple(prompt in (None, entry) for entry in cond_or_uncond for _ in range(rows_each))


def carries_contexts(patch: Any) -> bool:
    """Whether one of ComfyUI's patches stands for contexts."""
    return isinstance(patch, TokenPatch) and isinstance(patch.source, ContextReader)
