"""The three files of an Anima, loaded as ComfyUI's own loaders do, where no node has loaded them."""

from __future__ import annotations

from typing import Any

import comfy.sd
import comfy.utils
from comfy.model_patcher import ModelPatcher

from ...training.manifests.backbones import AnimaFiles
from .families import family_of


def loaded(files: AnimaFiles) -> tuple[ModelPatcher, Any, Any]:
    """model, clip and vae. Raises ValueError where one of them does not fit the model."""
    model = comfy.sd.load_diffusion_model(str(files.model))
    clip = comfy.sd.load_clip([str(files.clip)], clip_type=comfy.sd.CLIPType.STABLE_DIFFUSION)
    vae = comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(files.vae)))
    family = family_of(model)
    family.check_clip(clip)
    family.check_vae(vae)
    return model, clip, vae
