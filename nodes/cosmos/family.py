"""Cosmos-Predict2 in ComfyUI, text to image: the network that Anima was made from, with prompts of T5."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import comfy.model_base
import torch
from comfy.model_base import BaseModel
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...training.conditioning import Conditioning
from ..anima.family import Anima
from ..models.requirements import check_clip
from ..models.sentence_scenery import SCENERY


class CosmosPredict2(Anima):
    """Its T5 pads prompts with zeros to 512 vectors, of which tokens take the place."""

    name, title = "cosmos_predict2", "Cosmos-Predict2"
    model_file = "cosmos_predict2_2B_t2i.safetensors"
    clip_file = "oldt5_xxl_fp8_e4m3fn_scaled.safetensors"
    vae_file = "wan_2.1_vae.safetensors"
    scenery = SCENERY
    encodes_with_model = False

    def recognises(self, base: BaseModel) -> bool:
        return type(base) is getattr(comfy.model_base, "CosmosPredict2", None)

    def check(self, model: ModelPatcher) -> None:
        super().check(model)
        if model.model.image_to_video:
            raise ValueError(f"the model is {self.title} for videos, expected the one that draws pictures from text")

    def check_clip(self, clip: Any) -> None:
        check_clip(clip, {"t5xxl"}, f"{self.title}'s old T5 XXL (file {self.clip_file}, type cosmos)", width=1024)

    def conditioning(
        self, base: BaseModel, encoded: Tensor, extras: Mapping[str, Any], device: torch.device
    ) -> Conditioning:
        return Conditioning(encoded.float().to(device), to_one_length=self.to_one_length).knowing()


COSMOS_PREDICT2 = CosmosPredict2()
