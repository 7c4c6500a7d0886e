"""What belongs to one model family alone, found by asking the model: so far there is Anima."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import comfy.model_base
from comfy.model_patcher import ModelPatcher

from ...training.conditioning import LengthRule, pad_with_zeros
from ...training.references.scenery import Scenery
from ..anima.scenery import SCENERY


@dataclass(frozen=True)
class ModelFamily:
    """name: as context files name it. model_class: of ComfyUI's model, in comfy.model_base; the files are the official
    ones. A latent cell is so many pixels a side, a patch so many cells. to_one_length: how its prompts share a batch.
    scenery: the backgrounds it knows; guidance: with which it is usually sampled.
    """

    name: str
    model_class: str
    oldest_comfyui: str
    model_file: str
    clip_file: str
    vae_file: str
    cell_pixels: int
    patch_cells: int
    to_one_length: LengthRule
    scenery: Scenery
    guidance: float

    @property
    def size_multiple(self) -> int:
        """Image sides must be multiples of this many pixels."""
        return self.cell_pixels * self.patch_cells

    def context_shape(self, model: ModelPatcher) -> tuple[int, int]:
        """(number of blocks, width of the conditioning); the released Anima has (28, 1024)."""
        blocks = model.model.diffusion_model.blocks
        return len(blocks), blocks[0].cross_attn.context_dim


ANIMA = ModelFamily(
    name="anima",
    model_class="Anima",
    oldest_comfyui="0.29",
    model_file="anima-base-v1.0.safetensors",
    clip_file="qwen_3_06b_base.safetensors",
    vae_file="qwen_image_vae.safetensors",
    cell_pixels=8,
    patch_cells=2,
    to_one_length=pad_with_zeros,
    scenery=SCENERY,
    guidance=4.0,
)


def family_of(model: ModelPatcher) -> ModelFamily:
    """Raises ValueError where `model` is of no family with a way in, or this ComfyUI gives context tokens no place."""
    base, family = getattr(model, "model", None), ANIMA
    model_class = getattr(comfy.model_base, family.model_class, None)
    if model_class is None:
        raise ValueError(_too_old(family))
    if not isinstance(base, model_class):
        raise ValueError(
            f"the model is {type(base).__name__}, expected Anima, the one family supported so far "
            f"(file {family.model_file})"
        )
    if not calls_attn2_patch(base.diffusion_model):
        raise ValueError(_too_old(family))
    return family


def calls_attn2_patch(diffusion_model: Any) -> bool:
    """Whether cross-attention asks patches for its keys and values, which ComfyUI does for Anima since 0.29."""
    attention = type(diffusion_model.blocks[0].cross_attn)
    methods = inspect.getmembers(attention, inspect.isfunction)
    return any("attn2_patch" in method.__code__.co_consts for _, method in methods)


def _too_old(family: ModelFamily) -> str:
    try:
        from comfyui_version import __version__ as installed
    except ImportError:
        installed = "of an unknown version"
    return (
        f"ComfyUI is {installed}, expected {family.oldest_comfyui} or newer: "
        "older ones give context tokens no place in Anima"
    )
