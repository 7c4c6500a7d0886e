"""Flux in ComfyUI, which LoRAs are trained for: as Chroma, with a pooled vector and a guidance that it is told of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import comfy.model_base
import torch
from comfy.model_base import BaseModel
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...training.conditioning import Conditioning
from ..models.requirements import check_clip
from .chroma import FluxLike
from .family import positions_of, text_mask

# Of which the network is told where no node says otherwise.
TOLD_GUIDANCE = 3.5


class Flux(FluxLike):
    """Its own guidance is distilled into it, so that it is sampled without a negative prompt."""

    name, title = "flux", "Flux"
    model_file = "flux1-dev.safetensors"
    clip_file = "t5xxl_fp16.safetensors"
    vae_file = "ae.safetensors"
    guidance = 1.0
    reads_tokens = False

    def recognises(self, base: BaseModel) -> bool:
        return type(base) is getattr(comfy.model_base, "Flux", None)

    def check(self, model: ModelPatcher) -> None:
        network = model.model.diffusion_model
        if network.in_channels != network.out_channels:
            raise ValueError("the model is Flux for pictures that are given, expected one that draws from text alone")

    def check_clip(self, clip: Any) -> None:
        check_clip(clip, {"clip_l", "t5xxl"}, f"Flux's CLIP-L with T5 XXL (file {self.clip_file}, type flux)")

    def conditioning(
        self, base: BaseModel, encoded: Tensor, extras: Mapping[str, Any], device: torch.device
    ) -> Conditioning:
        plain = super().conditioning(base, encoded, extras, device)
        return replace(plain, extras={**plain.extras, "pooled": extras["pooled_output"].float().to(device)})

    def made_up_prompt(self, base: BaseModel, generator: torch.Generator) -> Conditioning:
        plain = super().made_up_prompt(base, generator)
        pooled = torch.zeros(1, base.diffusion_model.vector_in.in_layer.in_features)
        return replace(plain, extras={**plain.extras, "pooled": pooled})

    def network(
        self, base: BaseModel, x: Tensor, timestep: Tensor, conditioning: Conditioning, options: dict[str, Any]
    ) -> Tensor:
        vectors, extras = conditioning.vectors.to(x.dtype), conditioning.extras
        return base.diffusion_model(
            x,
            timestep,
            vectors,
            y=extras["pooled"].to(x.dtype),
            guidance=torch.full((len(x),), TOLD_GUIDANCE, device=x.device, dtype=x.dtype),
            transformer_options=options,
            attention_mask=text_mask(extras["length"].tolist(), vectors.shape[1], positions_of(x.shape), x.device),
        )


FLUX = Flux()
