"""SD 1.5 and SDXL in ComfyUI, with all that was made from them: Illustrious, NoobAI, predictions of noise and of v."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import comfy.model_base
import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy.model_base import BaseModel
from comfy.model_patcher import ModelPatcher
from torch import Tensor, nn

from ...training.conditioning import Conditioning, repeat_to_common_multiple
from ..models.family import CELL_PIXELS, ModelFamily
from ..models.requirements import check_clip, check_vae
from ..models.tag_scenery import SCENERY
from .activations import activation_bytes, sized_blocks
from .cross_attention import CHUNK, cross_attentions, read_beside_prompt

# With this token CLIP ends a text.
END = 49407


class UNet(ModelFamily):
    """Tokens stand beside the prompt in each cross-attention."""

    size_multiple = 32
    to_one_length = staticmethod(repeat_to_common_multiple)
    scenery = SCENERY
    latent_channels = 4
    own_attention = True
    reader = staticmethod(read_beside_prompt)

    def check(self, model: ModelPatcher) -> None:
        if model.model.concat_keys:
            raise ValueError(
                f"the model is an inpainting model of {self.title}, expected one that draws whole pictures"
            )

    def check_vae(self, vae: Any) -> None:
        check_vae(vae, self.latent_channels, f"a VAE of {self.title} with 4 latent channels (file {self.vae_file})")

    def context_shape(self, base: BaseModel) -> tuple[int, int]:
        """SD 1.5 has (16, 768), SDXL (70, 2048)."""
        attentions = list(cross_attentions(base.diffusion_model).values())
        return len(attentions), attentions[0].to_k.in_features

    def conditioning(
        self, base: BaseModel, encoded: Tensor, extras: Mapping[str, Any], device: torch.device
    ) -> Conditioning:
        return Conditioning(encoded.float().to(device), to_one_length=self.to_one_length)

    def words_of(self, tokens: Mapping[str, Any]) -> tuple[int, int]:
        """Of the first chunk, between its start and its end."""
        chunk = [token for token, *_ in tokens["l"][0]]
        return 1, chunk.index(END) if END in chunk else len(chunk)

    def made_up_prompt(self, base: BaseModel, generator: torch.Generator) -> Conditioning:
        vectors = torch.randn(1, CHUNK, self.context_shape(base)[1], generator=generator)
        return Conditioning(vectors, to_one_length=self.to_one_length)

    def blocks(self, diffusion_model: Any) -> Sequence[nn.Module]:
        return [block for block, _, _ in sized_blocks(diffusion_model)]

    def activation_bytes(self, base: BaseModel, latents: Sequence[int]) -> int:
        itemsize = base.get_dtype_inference().itemsize
        return activation_bytes(base.diffusion_model, latents[0], latents[-2], latents[-1], itemsize)


class StableDiffusion15(UNet):
    name, title = "sd15", "SD 1.5"
    model_file = "v1-5-pruned-emaonly-fp16.safetensors"
    clip_file = "clip_l.safetensors"
    vae_file = "vae-ft-mse-840000-ema-pruned.safetensors"
    guidance = 7.0
    context_dim = 768

    def recognises(self, base: BaseModel) -> bool:
        network = getattr(base, "diffusion_model", None)
        is_unet = type(base) is comfy.model_base.BaseModel and isinstance(network, UNetModel)
        return is_unet and self.context_shape(base)[1] == self.context_dim

    def check_clip(self, clip: Any) -> None:
        check_clip(clip, {"clip_l"}, f"SD 1.5's CLIP-L (file {self.clip_file}, or the one in the checkpoint)")


class StableDiffusionXL(UNet):
    """The sizes that its network is told beside the prompt are those of the picture, as a sampler has them."""

    name, title = "sdxl", "SDXL"
    model_file = "sd_xl_base_1.0.safetensors"
    clip_file = "clip_g.safetensors"
    vae_file = "sdxl_vae.safetensors"
    guidance = 5.0
    pooled_dim = 1280

    def recognises(self, base: BaseModel) -> bool:
        return type(base) is comfy.model_base.SDXL

    def check_clip(self, clip: Any) -> None:
        check_clip(clip, {"clip_l", "clip_g"}, "SDXL's CLIP-L with CLIP-G (type sdxl, or those in the checkpoint)")

    def conditioning(
        self, base: BaseModel, encoded: Tensor, extras: Mapping[str, Any], device: torch.device
    ) -> Conditioning:
        pooled = extras["pooled_output"].float().to(device)
        return Conditioning(encoded.float().to(device), {"pooled": pooled}, self.to_one_length)

    def made_up_prompt(self, base: BaseModel, generator: torch.Generator) -> Conditioning:
        plain = super().made_up_prompt(base, generator)
        return Conditioning(plain.vectors, {"pooled": torch.zeros(1, self.pooled_dim)}, self.to_one_length)

    def network(
        self, base: BaseModel, x: Tensor, timestep: Tensor, conditioning: Conditioning, options: dict[str, Any]
    ) -> Tensor:
        height, width = (cells * CELL_PIXELS for cells in x.shape[-2:])
        pooled = conditioning.extras["pooled"].to(x.dtype)
        none = torch.zeros(1, pooled.shape[1])
        sizes = base.encode_adm(pooled_output=none, width=width, height=height, device=none.device)[:, none.shape[1] :]
        y = torch.cat([pooled, sizes.to(pooled).expand(len(pooled), -1)], dim=1)
        vectors = conditioning.vectors.to(x.dtype)
        return base.diffusion_model(x, timestep, context=vectors, y=y, transformer_options=options)


SD15, SDXL = StableDiffusion15(), StableDiffusionXL()
