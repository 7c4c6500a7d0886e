"""Says in one sentence which text encoder or VAE came where those of the model's family are expected."""

from __future__ import annotations

from typing import Any

from comfy.ldm.wan.vae import WanVAE

# What ComfyUI's tokenizers call the text encoders that they are made for.
ENCODERS = ("clip_l", "clip_g", "clip_h", "t5xxl", "qwen3_06b", "qwen3_4b", "qwen25_7b", "gemma2_2b")


def check_clip(clip: Any, encoders: set[str], expected: str, width: int | None = None) -> None:
    """Raises ValueError where `clip` is not of these text encoders alone, or the T5 among them gives vectors of another
    width."""
    tokenizer = getattr(clip, "tokenizer", None)
    # Some of ComfyUI's tokenizers put clip_ before the name of whatever they are for.
    parts = {name: getattr(tokenizer, name, getattr(tokenizer, f"clip_{name}", None)) for name in ENCODERS}
    came = {name for name, part in parts.items() if part is not None}
    if came != encoders or width not in (None, getattr(parts["t5xxl"], "embedding_size", None)):
        came_as = "nothing" if clip is None else type(getattr(clip, "cond_stage_model", clip)).__name__
        raise ValueError(f"the text encoder is {came_as}, expected {expected}")


def check_vae(vae: Any, channels: int, expected: str) -> None:
    """Raises ValueError where `vae` does not make pictures into latents of so many channels."""
    if (getattr(vae, "latent_channels", 0), getattr(vae, "latent_dim", 0)) != (channels, 2):
        raise _wrong_vae(vae, expected)


def check_wan_vae(vae: Any, expected: str) -> None:
    """Raises ValueError where `vae` does not make the latents of Wan 2.1."""
    codec = getattr(vae, "first_stage_model", None)
    if not isinstance(codec, WanVAE) or (vae.latent_channels, vae.latent_dim) != (16, 3):
        raise _wrong_vae(vae, expected)


def _wrong_vae(vae: Any, expected: str) -> ValueError:
    codec, channels = getattr(vae, "first_stage_model", None), getattr(vae, "latent_channels", 0)
    came = "nothing" if codec is None else f"{type(codec).__name__} with {channels} latent channels"
    return ValueError(f"the VAE is {came}, expected {expected}")
