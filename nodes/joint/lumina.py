"""Lumina 2 and Z-Image in ComfyUI, which LoRAs are trained for: the picture stands behind the text, without masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import comfy.model_base
from comfy.model_base import BaseModel
from comfy.model_patcher import ModelPatcher
from torch import Tensor, nn

from ...training.conditioning import Conditioning
from ..models.requirements import check_clip, check_vae
from .family import JointFamily, one_length_at_a_time, positions_of

# Kept by a block for the backward pass, in tensors of the size of the sequence.
TENSORS_PER_BLOCK = 24


class Lumina2(JointFamily):
    """Rows whose prompts differ in length go through the network one after the other."""

    name, title = "lumina2", "Lumina 2"
    model_file = "lumina_2_model_bf16.safetensors"
    clip_file = "gemma_2_2b_fp16.safetensors"
    vae_file = "ae.safetensors"
    guidance = 4.0
    reads_tokens = False
    encoder, encoder_title, encoder_type = "gemma2_2b", "Gemma 2 2B", "lumina2"
    config = "Lumina2"

    def recognises(self, base: BaseModel) -> bool:
        if type(base) is not getattr(comfy.model_base, "Lumina2", None):
            return False
        return type(base.model_config).__name__ == self.config

    def check(self, model: ModelPatcher) -> None:
        if model.model.diffusion_model.clip_text_pooled_proj is not None:
            raise ValueError(f"the model is NewBie, which reads two text encoders, expected {self.title}")

    def check_clip(self, clip: Any) -> None:
        expected = f"{self.title}'s {self.encoder_title} (file {self.clip_file}, type {self.encoder_type})"
        check_clip(clip, {self.encoder}, expected)

    def check_vae(self, vae: Any) -> None:
        check_vae(vae, 16, f"Flux's VAE with 16 latent channels (file {self.vae_file})")

    def context_shape(self, base: BaseModel) -> tuple[int, int]:
        return 1, base.diffusion_model.cap_embedder[1].in_features

    def network(
        self, base: BaseModel, x: Tensor, timestep: Tensor, conditioning: Conditioning, options: dict[str, Any]
    ) -> Tensor:
        vectors, lengths = conditioning.vectors.to(x.dtype), conditioning.extras["length"].tolist()

        def of_rows(rows: list[int], length: int) -> Tensor:
            own = dict(options)  # into which the network writes
            part = slice(None) if len(rows) == len(x) else rows
            text = vectors[part, :length]
            return base.diffusion_model(x[part], timestep[part], text, length, transformer_options=own)

        return one_length_at_a_time(lengths, of_rows, x)

    def blocks(self, diffusion_model: Any) -> Sequence[nn.Module]:
        network = diffusion_model
        return [*network.context_refiner, *network.noise_refiner, *network.layers]

    def activation_bytes(self, base: BaseModel, latents: Sequence[int]) -> int:
        network, positions = base.diffusion_model, latents[0] * positions_of(latents)
        tensors = TENSORS_PER_BLOCK * (len(network.layers) + len(network.noise_refiner))
        return tensors * positions * network.dim * base.get_dtype_inference().itemsize


class ZImage(Lumina2):
    name, title = "z_image", "Z-Image"
    model_file = "z_image_turbo_bf16.safetensors"
    clip_file = "qwen_3_4b.safetensors"
    guidance = 1.0
    encoder, encoder_title, encoder_type = "qwen3_4b", "Qwen3 4B", "lumina2"
    config = "ZImage"


LUMINA2, Z_IMAGE = Lumina2(), ZImage()
