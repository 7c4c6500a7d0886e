"""Lets one conditioning read a context: a hook of ComfyUI's own that goes where the conditioning goes.

ComfyUI runs what has the same hooks as a batch of its own, so that nothing else in the picture reads the context.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from comfy.hooks import EnumHookScope, HookGroup, TransformerOptionsHook, set_hooks_for_conditioning
from comfy.model_patcher import ModelPatcher

from ...training.trainables.context_file import ReferenceContext
from ...training.trainables.context_tokens import ContextTokens
from .applied_context import ContextReader, Strength, applied, check_fits
from .families import family_of
from .noise import ModelNoise
from .token_source import TokenPatch


@dataclass(frozen=True)
class Reading:
    """Which tokens of which context are read, and how strongly."""

    context: ReferenceContext
    tokens: ContextTokens
    strength: Strength


class ContextHook(TransformerOptionsHook):
    """What all rows of its conditioning read. The model is known when sampling begins."""

    def __init__(self, reading: Reading | None = None) -> None:
        super().__init__(transformers_dict={}, hook_scope=EnumHookScope.HookedOnly)
        self._reading: Reading = reading  # type: ignore[assignment]  # None only until `clone` has filled it in
        self._patch: tuple[Any, TokenPatch] | None = None

    def clone(self) -> ContextHook:
        copy = super().clone()
        copy._reading = self._reading
        return copy

    def add_hook_patches(self, model: ModelPatcher, *registration: Any) -> bool:
        """Raises ValueError, before the first step, where the context was trained for another model."""
        check_fits(model, self._reading.context)
        return super().add_hook_patches(model, *registration)

    def on_apply_hooks(self, model: ModelPatcher, transformer_options: dict[str, Any]) -> None:
        """Called in each step."""
        family_of(model).let_read(transformer_options, self._patch_for(model))

    def reset(self) -> None:
        """Called when sampling begins."""
        super().reset()
        self._patch = None

    def _patch_for(self, model: ModelPatcher) -> TokenPatch:
        sampling = model.get_model_object("model_sampling")
        last = self._patch  # read once: ComfyUI may run one conditioning on several devices from several threads
        if last is None or last[0] is not sampling:
            read = self._reading
            context = applied(sampling, [(None, read.tokens)], read.context.ranges, read.strength)
            reader = ContextReader((context,), ModelNoise(sampling).level)
            last = (sampling, family_of(model).token_patch(reader))
            self._patch = last
        return last[1]


def apply_to_conditioning(
    conditioning: list, context: ReferenceContext, strength: Strength = Strength(), negative_tokens: bool = False
) -> list:
    """A copy of ComfyUI's CONDITIONING that reads the context beside its prompt wherever it is sampled with; at scale 0
    one that does not.

    negative_tokens: read those that were trained for the negative prompt. Raises ValueError where there are none.
    """
    tokens = context.negative if negative_tokens else context.positive
    if tokens is None:
        raise ValueError(
            "the context has no tokens for the negative prompt, expected one that was trained with negative_tokens, or "
            "tokens 'positive'"
        )
    if strength.scale == 0:
        return conditioning
    hooks = HookGroup()
    hooks.add(ContextHook(Reading(context, tokens, strength)))
    return set_hooks_for_conditioning(conditioning, hooks)
