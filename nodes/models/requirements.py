"""Says in one sentence which text encoder or VAE came where those of the model's family are expected."""

from __future__ import annotations

from typing import Any

from comfy.ldm.wan.vae import WanVAE

from .family import ModelFamily


def check_clip(clip: Any, family: ModelFamily) -> None:
    """Raises ValueError where `clip` is not Anima's text encoder, Qwen3 0.6B."""
    tokenizer = getattr(clip, "tokenizer", None)
    if not (hasattr(tokenizer, "qwen3_06b") and hasattr(tokenizer, "t5xxl")):
        came = "nothing" if clip is None else type(getattr(clip, "cond_stage_model", clip)).__name__
        raise ValueError(
            f"the text encoder is {came}, expected Anima's Qwen3 0.6B (file {family.clip_file}, type stable_diffusion)"
        )


def check_vae(vae: Any, family: ModelFamily) -> None:
    """Raises ValueError where `vae` does not make the latents that Anima was trained on, those of Wan 2.1."""
    codec = getattr(vae, "first_stage_model", None)
    channels, dimensions = getattr(vae, "latent_channels", 0), getattr(vae, "latent_dim", 0)
    if not isinstance(codec, WanVAE) or (channels, dimensions) != (16, 3):
        came = "nothing" if codec is None else f"{type(codec).__name__} with {channels} latent channels"
        raise ValueError(
            f"the VAE is {came}, expected Anima's Wan 2.1 VAE with 16 latent channels (file {family.vae_file})"
        )
