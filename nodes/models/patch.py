"""Adds a trained context to a model: the tokens of each block join the prompt in that block's cross-attention."""

from __future__ import annotations

from typing import Literal

from comfy.model_patcher import ModelPatcher

from ...training.trainables.context_file import ReferenceContext
from .applied_context import (
    NEGATIVE,
    POSITIVE,
    AppliedContext,
    ContextReader,
    Strength,
    applied,
    carries_contexts,
    check_fits,
)
from .families import family_of
from .noise import ModelNoise

ApplyTo = Literal["positive", "negative", "both"]


def patch_model(
    model: ModelPatcher, context: ReferenceContext, strength: Strength = Strength(), apply_to: ApplyTo = "positive"
) -> ModelPatcher:
    """A clone of `model` whose cross-attention reads the context beside the prompt; `model` itself is not touched. At
    scale 0 the clone samples what `model` samples, bit by bit.

    apply_to: with "negative" and "both", the negative prompt takes the context's negative tokens where it has some,
    else its tokens. Raises ValueError where the model has no way in or the context was trained for another model.
    """
    check_fits(model, context)
    patched = model.clone()
    if strength.scale == 0:
        return patched
    tokens = {POSITIVE: context.positive, NEGATIVE: context.negative or context.positive}
    taken = {"positive": (POSITIVE,), "negative": (NEGATIVE,), "both": (POSITIVE, NEGATIVE)}[apply_to]
    sampling = model.get_model_object("model_sampling")
    _chain(patched, applied(sampling, [(prompt, tokens[prompt]) for prompt in taken], context.ranges, strength))
    return patched


def _chain(model: ModelPatcher, context: AppliedContext) -> None:
    """Add to the contexts that `model` already carries; one patch acts for all of them."""
    family, options = family_of(model), model.model_options["transformer_options"]
    existing = options.get("patches", {}).pop(family.patch_name, [])
    chained = [patch.source.applied for patch in existing if carries_contexts(patch)]
    others = [patch for patch in existing if not carries_contexts(patch)]
    if others:
        options["patches"][family.patch_name] = others
    together = (*(one for group in chained for one in group), context)
    level_of = ModelNoise(model.get_model_object("model_sampling")).level
    family.let_read(options, family.token_patch(ContextReader(together, level_of)))
