"""Anima in ComfyUI: where its tokens go in, what its prompts are, and what it needs for a backward pass."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import comfy.model_base
import torch
from comfy.model_base import BaseModel
from comfy.model_patcher import ModelPatcher
from torch import Tensor, nn

from ...training.conditioning import Conditioning, pad_with_zeros
from ...training.fast_path.memory_plan import Activations
from ..models.family import ModelFamily
from ..models.requirements import check_clip, check_wan_vae
from ..models.tag_scenery import SCENERY
from ..models.token_source import TokenPatch, TokenSource
from .fast_blocks import FastBlocks, activations, prompt_option
from .insertion import PaddingPatch
from .own_attention import read_beside_prompt
from .rotary import differentiable_rotary


class Anima(ModelFamily):
    """Tokens are read apart in the cross-attention of each block, or take the place of the prompt's zero padding."""

    name = "anima"
    title = "Anima"
    model_file = "anima-base-v1.0.safetensors"
    clip_file = "qwen_3_06b_base.safetensors"
    vae_file = "qwen_image_vae.safetensors"
    size_multiple = 16
    to_one_length = staticmethod(pad_with_zeros)
    scenery = SCENERY
    guidance = 4.0
    patch_name = "attn2_patch"
    own_attention = True
    reader = staticmethod(read_beside_prompt)
    encodes_with_model = True
    without_layers = ("llm_adapter",)
    oldest_comfyui = "0.29"

    def recognises(self, base: BaseModel) -> bool:
        return isinstance(base, getattr(comfy.model_base, "Anima", ()))

    def check(self, model: ModelPatcher) -> None:
        check_calls_attn2_patch(model.model.diffusion_model, self.title, self.oldest_comfyui)

    def check_clip(self, clip: Any) -> None:
        check_clip(clip, {"qwen3_06b", "t5xxl"}, f"Anima's Qwen3 0.6B (file {self.clip_file}, type stable_diffusion)")

    def check_vae(self, vae: Any) -> None:
        check_wan_vae(vae, f"Anima's Wan 2.1 VAE with 16 latent channels (file {self.vae_file})")

    def context_shape(self, base: BaseModel) -> tuple[int, int]:
        """The released Anima has (28, 1024)."""
        blocks = base.diffusion_model.blocks
        return len(blocks), blocks[0].cross_attn.context_dim

    def conditioning(
        self, base: BaseModel, encoded: Tensor, extras: Mapping[str, Any], device: torch.device
    ) -> Conditioning:
        """Through Anima's adapter, padded with zeros to 512."""
        dtype = base.get_dtype_inference()
        vectors = base.diffusion_model.preprocess_text_embeds(
            encoded.to(device, dtype),
            extras["t5xxl_ids"][None].to(device),
            extras["t5xxl_weights"][None, :, None].to(device, dtype),
        )
        return Conditioning(vectors.float(), to_one_length=self.to_one_length).knowing()

    def network(
        self, base: BaseModel, x: Tensor, timestep: Tensor, conditioning: Conditioning, options: dict[str, Any]
    ) -> Tensor:
        return super().network(base, x, timestep, conditioning, options | prompt_option(conditioning, x.dtype))

    @contextmanager
    def prepared(self, diffusion_model: nn.Module) -> Iterator[None]:
        with differentiable_rotary(), FastBlocks(self.blocks(diffusion_model)).in_place():
            yield

    def blocks(self, diffusion_model: Any) -> Sequence[nn.Module]:
        return diffusion_model.blocks

    def activation_bytes(self, base: BaseModel, latents: Sequence[int]) -> int:
        return self.activations(base, latents).of_all()

    def activations(self, base: BaseModel, latents: Sequence[int]) -> Activations:
        return activations(base.diffusion_model, latents, base.get_dtype_inference())

    def token_patch(self, source: TokenSource) -> TokenPatch:
        return PaddingPatch(source)


def check_calls_attn2_patch(diffusion_model: Any, title: str, oldest_comfyui: str) -> None:
    """Raises ValueError where cross-attention does not ask patches for its keys and values, which ComfyUI does for
    this network since 0.29."""
    attention = type(diffusion_model.blocks[0].cross_attn)
    methods = inspect.getmembers(attention, inspect.isfunction)
    if any("attn2_patch" in method.__code__.co_consts for _, method in methods):
        return
    try:
        from comfyui_version import __version__ as installed
    except ImportError:
        installed = "of an unknown version"
    raise ValueError(
        f"ComfyUI is {installed}, expected {oldest_comfyui} or newer: older ones give context tokens no place in "
        f"{title}"
    )


ANIMA = Anima()
