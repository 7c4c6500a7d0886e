"""Qwen-Image in ComfyUI, which LoRAs are trained for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import comfy.model_base
import torch
from comfy.model_base import BaseModel
from torch import Tensor, nn

from ...training.conditioning import Conditioning
from ..models.requirements import check_clip, check_wan_vae
from .family import JointFamily, positions_of

# Kept by a block for the backward pass, in tensors of the size of the picture's part of the sequence.
TENSORS_PER_BLOCK = 30


class QwenImage(JointFamily):
    """Each stream has projections of its own; a mask tells the words of a prompt from what fills it up."""

    name, title = "qwen_image", "Qwen-Image"
    model_file = "qwen_image_fp8_e4m3fn.safetensors"
    clip_file = "qwen_2.5_vl_7b_fp8_scaled.safetensors"
    vae_file = "qwen_image_vae.safetensors"
    guidance = 2.5
    reads_tokens = False

    def recognises(self, base: BaseModel) -> bool:
        return type(base) is getattr(comfy.model_base, "QwenImage", None)

    def check_clip(self, clip: Any) -> None:
        check_clip(clip, {"qwen25_7b"}, f"Qwen-Image's Qwen 2.5 VL 7B (file {self.clip_file}, type qwen_image)")

    def check_vae(self, vae: Any) -> None:
        check_wan_vae(vae, f"Qwen-Image's VAE with 16 latent channels (file {self.vae_file})")

    def context_shape(self, base: BaseModel) -> tuple[int, int]:
        return 1, base.diffusion_model.txt_in.in_features

    def network(
        self, base: BaseModel, x: Tensor, timestep: Tensor, conditioning: Conditioning, options: dict[str, Any]
    ) -> Tensor:
        vectors, lengths = conditioning.vectors.to(x.dtype), conditioning.extras["length"]
        mask = None
        if int(lengths.min()) < vectors.shape[1]:
            mask = (torch.arange(vectors.shape[1]) < lengths[:, None]).long().to(x.device)
        return base.diffusion_model(x, timestep, vectors, mask, transformer_options=options)

    def blocks(self, diffusion_model: Any) -> Sequence[nn.Module]:
        return list(diffusion_model.transformer_blocks)

    def activation_bytes(self, base: BaseModel, latents: Sequence[int]) -> int:
        network, positions = base.diffusion_model, latents[0] * positions_of(latents)
        tensors = TENSORS_PER_BLOCK * len(network.transformer_blocks)
        return tensors * positions * network.inner_dim * base.get_dtype_inference().itemsize


QWEN_IMAGE = QwenImage()
