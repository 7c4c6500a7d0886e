"""Says in one sentence what is missing when a model, a text encoder, a VAE or ComfyUI itself cannot be used for
Anima."""

from __future__ import annotations

import inspect
from typing import Any

import comfy.model_base
from comfy.ldm.wan.vae import WanVAE
from comfy.model_patcher import ModelPatcher

MODEL_FAMILY = "anima"  # as context files name it
OLDEST_COMFYUI = "0.29"

MODEL_FILE = "anima-base-v1.0.safetensors"
CLIP_FILE = "qwen_3_06b_base.safetensors"
VAE_FILE = "qwen_image_vae.safetensors"


def check_model(model: ModelPatcher) -> None:
    """Raises ValueError where `model` is not Anima, or where this ComfyUI has no place for context tokens in it."""
    base = getattr(model, "model", None)
    anima = getattr(comfy.model_base, "Anima", None)
    if anima is None:
        raise ValueError(_too_old())
    if not isinstance(base, anima):
        raise ValueError(
            f"the model is {type(base).__name__}, expected Anima, the one family supported so far (file {MODEL_FILE})"
        )
    if not calls_attn2_patch(base.diffusion_model):
        raise ValueError(_too_old())


def check_clip(clip: Any) -> None:
    """Raises ValueError where `clip` is not Anima's text encoder, Qwen3 0.6B."""
    tokenizer = getattr(clip, "tokenizer", None)
    if not (hasattr(tokenizer, "qwen3_06b") and hasattr(tokenizer, "t5xxl")):
        came = "nothing" if clip is None else type(getattr(clip, "cond_stage_model", clip)).__name__
        raise ValueError(
            f"the text encoder is {came}, expected Anima's Qwen3 0.6B (file {CLIP_FILE}, type stable_diffusion)"
        )


def check_vae(vae: Any) -> None:
    """Raises ValueError where `vae` does not make the latents that Anima was trained on, those of Wan 2.1."""
    codec = getattr(vae, "first_stage_model", None)
    channels, dimensions = getattr(vae, "latent_channels", 0), getattr(vae, "latent_dim", 0)
    if not isinstance(codec, WanVAE) or (channels, dimensions) != (16, 3):
        came = "nothing" if codec is None else f"{type(codec).__name__} with {channels} latent channels"
        raise ValueError(f"the VAE is {came}, expected Anima's Wan 2.1 VAE with 16 latent channels (file {VAE_FILE})")


def context_shape(model: ModelPatcher) -> tuple[int, int]:
    """(number of blocks, width of the conditioning) of an Anima model; the released one has (28, 1024)."""
    blocks = model.model.diffusion_model.blocks
    return len(blocks), blocks[0].cross_attn.context_dim


def calls_attn2_patch(diffusion_model: Any) -> bool:
    """Whether cross-attention asks patches for its keys and values, which ComfyUI does for Anima since 0.29."""
    attention = type(diffusion_model.blocks[0].cross_attn)
    methods = inspect.getmembers(attention, inspect.isfunction)
    return any("attn2_patch" in method.__code__.co_consts for _, method in methods)


def _too_old() -> str:
    try:
        from comfyui_version import __version__ as installed
    except ImportError:
        installed = "of an unknown version"
    return (
        f"ComfyUI is {installed}, expected {OLDEST_COMFYUI} or newer: older ones give context tokens no place in Anima"
    )
