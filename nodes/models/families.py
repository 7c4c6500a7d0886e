"""The families with a way in, and which one a model is of."""

from __future__ import annotations

from typing import Any

from comfy.model_base import BaseModel
from comfy.model_patcher import ModelPatcher

from ..anima.family import ANIMA
from ..cosmos.family import COSMOS_PREDICT2
from ..joint.chroma import CHROMA
from ..joint.flux import FLUX
from ..joint.lumina import LUMINA2, Z_IMAGE
from ..joint.qwen_image import QWEN_IMAGE
from ..unet.family import SD15, SDXL
from .family import ModelFamily

FAMILIES: tuple[ModelFamily, ...] = (ANIMA, SDXL, SD15, CHROMA, COSMOS_PREDICT2, Z_IMAGE, LUMINA2, QWEN_IMAGE, FLUX)
READERS = tuple(family for family in FAMILIES if family.reads_tokens)


def family_of(model: ModelPatcher) -> ModelFamily:
    """Raises ValueError where `model` is of no family with a way in, or this ComfyUI is too old for its family."""
    return _found(model, FAMILIES)


def token_family_of(model: ModelPatcher) -> ModelFamily:
    """The same; raises ValueError where the family takes a LoRA but no context tokens, too."""
    family = _found(model, READERS)
    if not family.reads_tokens:
        raise ValueError(
            f"the model is {family.title}, which has no way in for context tokens, expected {titles(READERS)}"
        )
    return family


def _found(model: ModelPatcher, expected: tuple[ModelFamily, ...]) -> ModelFamily:
    base: Any = getattr(model, "model", None)
    for family in FAMILIES:
        if family.recognises(base):
            family.check(model)
            return family
    # ComfyUI has one class for several models, which their configurations tell apart.
    came = type(base.model_config) if type(base) is BaseModel else type(base)
    raise ValueError(f"the model is {came.__name__}, expected {titles(expected)}")


def titles(families: tuple[ModelFamily, ...]) -> str:
    *first, last = (family.title for family in families)
    return f"{', '.join(first)} or {last}"
