"""The families with a way in, and which one a model is of."""

from __future__ import annotations

from typing import Any

from comfy.model_patcher import ModelPatcher

from ..anima.family import ANIMA
from .family import ModelFamily

FAMILIES: tuple[ModelFamily, ...] = (ANIMA,)


def family_of(model: ModelPatcher) -> ModelFamily:
    """Raises ValueError where `model` is of no family with a way in, or this ComfyUI is too old for its family."""
    base: Any = getattr(model, "model", None)
    for family in FAMILIES:
        if family.recognises(base):
            family.check(model)
            return family
    raise ValueError(f"the model is {type(base).__name__}, expected {titles(FAMILIES)}")


def token_family_of(model: ModelPatcher) -> ModelFamily:
    """The same; raises ValueError where the family takes a LoRA but no context tokens, too."""
    family = family_of(model)
    if not family.reads_tokens:
        readers = tuple(each for each in FAMILIES if each.reads_tokens)
        raise ValueError(
            f"the model is {family.title}, which has no way in for context tokens, expected {titles(readers)}"
        )
    return family


def titles(families: tuple[ModelFamily, ...]) -> str:
    *first, last = dict.fromkeys(family.title for family in families)
    return f"{', '.join(first)} or {last}" if first else last
