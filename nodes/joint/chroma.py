"""Chroma in ComfyUI: the one of the joint transformers that context tokens have a way into."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import comfy.model_base
import torch
from comfy.model_base import BaseModel
from torch import Tensor, nn

from ...training.conditioning import Conditioning
from ..models.requirements import check_clip, check_vae
from .family import JointFamily, positions_of, text_mask
from .in_place import differentiable_blocks
from .text_stream import follow_prompt

# Kept by a block for the backward pass, in tensors of the size of the sequence.
TENSORS_PER_DOUBLE, TENSORS_PER_SINGLE = 24, 18


class FluxLike(JointFamily):
    """Double blocks, then single ones, both of which add to their input in place."""

    def check_vae(self, vae: Any) -> None:
        check_vae(vae, 16, f"Flux's VAE with 16 latent channels (file {self.vae_file})")

    def context_shape(self, base: BaseModel) -> tuple[int, int]:
        return 1, base.diffusion_model.txt_in.in_features

    def prepared(self, diffusion_model: nn.Module) -> AbstractContextManager[Any]:
        return differentiable_blocks(diffusion_model)

    def blocks(self, diffusion_model: Any) -> Sequence[nn.Module]:
        return [*diffusion_model.double_blocks, *diffusion_model.single_blocks]

    def activation_bytes(self, base: BaseModel, latents: Sequence[int]) -> int:
        network, positions = base.diffusion_model, latents[0] * positions_of(latents)
        tensors = TENSORS_PER_DOUBLE * len(network.double_blocks) + TENSORS_PER_SINGLE * len(network.single_blocks)
        return tensors * positions * network.hidden_size * base.get_dtype_inference().itemsize


class Chroma(FluxLike):
    """Tokens follow the prompt, in one set for all blocks."""

    name, title = "chroma", "Chroma"
    model_file = "Chroma1-HD.safetensors"
    clip_file = "t5xxl_fp16.safetensors"
    vae_file = "ae.safetensors"
    guidance = 4.0
    reader = staticmethod(follow_prompt)

    def recognises(self, base: BaseModel) -> bool:
        return type(base) is getattr(comfy.model_base, "Chroma", None)

    def check_clip(self, clip: Any) -> None:
        check_clip(clip, {"t5xxl"}, f"Chroma's T5 XXL (file {self.clip_file}, type chroma)", width=4096)

    def network(
        self, base: BaseModel, x: Tensor, timestep: Tensor, conditioning: Conditioning, options: dict[str, Any]
    ) -> Tensor:
        vectors = conditioning.vectors.to(x.dtype)
        mask = text_mask(conditioning.extras["length"].tolist(), vectors.shape[1], positions_of(x.shape), x.device)
        # Told of no guidance, as in sampling.
        none = torch.zeros(len(x), device=x.device)
        return base.diffusion_model(x, timestep, vectors, none, None, options, attention_mask=mask)


CHROMA = Chroma()
