"""Small models of each family, of ComfyUI's own classes with random weights, with text encoders and a VAE to match."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import comfy.model_management as management
import comfy.samplers
import comfy.sd
import comfy.sd1_clip
import comfy.sdxl_clip
import comfy.supported_models
import small_models
import torch
from comfy.model_patcher import ModelPatcher
from comfy.sampler_helpers import convert_cond
from comfy.supported_models_base import ClipTarget
from comfy.taesd.taesd import TAESD
from comfy.text_encoders.cosmos import CosmosT5Tokenizer, CosmosT5XXL
from comfy.text_encoders.pixart_t5 import PixArtTokenizer, pixart_te

sys.path.append(str(Path(__file__).parents[1]))
from make_checkpoints import randomised
from small_models import noise

CPU = torch.device("cpu")
# A UNet of two levels with a cross-attention in each of its seven blocks but the last of a level down.
UNET = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 64,
    "num_res_blocks": [1, 1],
    "channel_mult": [1, 2],
    "transformer_depth": [1, 2],
    "transformer_depth_output": [1, 1, 2, 2],
    "transformer_depth_middle": 1,
    "use_spatial_transformer": True,
    "legacy": False,
    "dtype": torch.float32,
}
SDXL_UNET = {
    **UNET,
    "num_heads": -1,
    "num_head_channels": 32,
    "use_linear_in_transformer": True,
    "context_dim": 2048,
    "adm_in_channels": 2816,
    "num_classes": "sequential",
}


@dataclass(frozen=True)
class SmallFamily:
    """latent: the shape of one row of latents. exact: whether ComfyUI runs rows of two prompts together that our patch
    does not take apart, so that what it leaves alone keeps every bit. own: whether its tokens have an attention of
    their own."""

    label: str
    model: Callable[[], ModelPatcher]
    clip: Callable[[], comfy.sd.CLIP]
    vae: Callable[[], comfy.sd.VAE]
    latent: tuple[int, ...]
    reads_tokens: bool = True
    exact: bool = True
    own: bool = False


def patcher(config: Any, state: dict[str, torch.Tensor], seed: int) -> ModelPatcher:
    config.set_inference_dtype(torch.float32, None)
    base = config.get_model(state, "")
    randomised(base.diffusion_model, seed)
    return ModelPatcher(base, load_device=CPU, offload_device=CPU)


@functools.cache
def sd15() -> ModelPatcher:
    own = {"num_heads": 8, "num_head_channels": -1, "use_linear_in_transformer": False, "context_dim": 768}
    return patcher(comfy.supported_models.SD15({**UNET, **own, "adm_in_channels": None}), {}, 31)


@functools.cache
def sdxl() -> ModelPatcher:
    return patcher(comfy.supported_models.SDXL(dict(SDXL_UNET)), {}, 32)


@functools.cache
def sdxl_v() -> ModelPatcher:
    """As NoobAI's V models: v, and noise alone at the end of the schedule."""
    state = {"v_pred": torch.empty(0), "ztsnr": torch.empty(0)}
    return patcher(comfy.supported_models.SDXL(dict(SDXL_UNET)), state, 33)


def small_clip(tokenizer: type, model: type, **sizes: dict[str, int]) -> comfy.sd.CLIP:
    options = {f"{name}_model_config": own for name, own in sizes.items()}
    with torch.inference_mode():
        made = comfy.sd.CLIP(ClipTarget(tokenizer, model), model_options={**options, "dtype": torch.bfloat16})
        randomised(made.cond_stage_model, 5)
    return made


@functools.cache
def clip_l() -> comfy.sd.CLIP:
    return small_clip(comfy.sd1_clip.SD1Tokenizer, comfy.sd1_clip.SD1ClipModel, clip_l={"num_hidden_layers": 2})


@functools.cache
def clip_l_and_g() -> comfy.sd.CLIP:
    layers = {"num_hidden_layers": 3}
    return small_clip(
        comfy.sdxl_clip.SDXLTokenizer, comfy.sdxl_clip.SDXLClipModel, clip_l=dict(layers), clip_g=dict(layers)
    )


@functools.cache
@torch.inference_mode()
def small_vae(channels: int) -> comfy.sd.VAE:
    return comfy.sd.VAE(sd=randomised(TAESD(latent_channels=channels), 6))


@functools.cache
def chroma() -> ModelPatcher:
    """Two blocks of each kind."""
    sizes = {"in_channels": 64, "out_channels": 64, "context_in_dim": 128, "hidden_size": 64, "mlp_ratio": 2.0}
    attention = {"num_heads": 2, "axes_dim": [8, 12, 12], "theta": 10000, "qkv_bias": True, "patch_size": 2}
    guidance = {"in_dim": 64, "out_dim": 64, "hidden_dim": 32, "n_layers": 1, "vec_in_dim": None, "txt_ids_dims": []}
    depth = {"depth": 2, "depth_single_blocks": 2, "dtype": torch.float32, "image_model": "chroma"}
    return patcher(comfy.supported_models.Chroma({**sizes, **attention, **guidance, **depth}), {}, 34)


@functools.cache
def t5() -> comfy.sd.CLIP:
    """T5 XXL with one narrow layer, for Chroma."""
    sizes = {"num_layers": 1, "d_model": 128, "d_ff": 64, "num_heads": 2}
    return small_clip(PixArtTokenizer, pixart_te(), t5xxl=sizes)


@functools.cache
@torch.inference_mode()
def cosmos() -> ModelPatcher:
    return comfy.sd.load_diffusion_model(str(small_models.FOLDER / "diffusion_models/cosmos-test.safetensors"))


@functools.cache
def old_t5() -> comfy.sd.CLIP:
    """The T5 XXL of 2019 with one narrow layer, for Cosmos."""
    return small_clip(CosmosT5Tokenizer, CosmosT5XXL, t5xxl={"num_layers": 1, "d_ff": 64, "num_heads": 2})


@functools.cache
def flux() -> ModelPatcher:
    sizes = {"in_channels": 16, "out_channels": 16, "context_in_dim": 128, "hidden_size": 64, "mlp_ratio": 2.0}
    attention = {"num_heads": 2, "axes_dim": [8, 12, 12], "theta": 10000, "qkv_bias": True, "patch_size": 2}
    own = {"vec_in_dim": 768, "guidance_embed": True, "txt_ids_dims": []}
    depth = {"depth": 2, "depth_single_blocks": 2, "dtype": torch.float32, "image_model": "flux"}
    return patcher(comfy.supported_models.Flux({**sizes, **attention, **own, **depth}), {}, 35)


@functools.cache
def qwen_image() -> ModelPatcher:
    sizes = {"num_layers": 2, "attention_head_dim": 32, "num_attention_heads": 2, "joint_attention_dim": 128}
    own = {"axes_dims_rope": (8, 12, 12), "in_channels": 64, "image_model": "qwen_image", "dtype": torch.float32}
    return patcher(comfy.supported_models.QwenImage({**sizes, **own}), {}, 36)


def next_dit(config: type, seed: int, **own: Any) -> ModelPatcher:
    sizes = {"dim": 256, "n_layers": 2, "n_refiner_layers": 1, "n_heads": 8, "n_kv_heads": 8, "cap_feat_dim": 128}
    common = {"patch_size": 2, "in_channels": 16, "axes_dims": [8, 12, 12], "axes_lens": [300, 512, 512]}
    settings = {"qk_norm": True, "image_model": "lumina2", "dtype": torch.float32, **own}
    return patcher(config({**sizes, **common, **settings}), {}, seed)


@functools.cache
def lumina2() -> ModelPatcher:
    return next_dit(comfy.supported_models.Lumina2, 37, rope_theta=10000.0)


@functools.cache
def z_image() -> ModelPatcher:
    own = {"rope_theta": 256.0, "ffn_dim_multiplier": 8.0 / 3.0, "z_image_modulation": True, "time_scale": 1000.0}
    return next_dit(comfy.supported_models.ZImage, 38, pad_tokens_multiple=32, **own)


class MadeUpEncoder:
    """Stands for a text encoder that is too large for tests: for each word of a text a vector of its own."""

    def __init__(self, *encoders: str) -> None:
        self.tokenizer = SimpleNamespace(**{name: SimpleNamespace(embedding_size=4096) for name in encoders})
        self.patcher = clip_l().patcher

    def tokenize(self, text: str) -> list[str]:
        return ["", *text.replace(",", " ").split()]

    def encode_from_tokens_scheduled(self, tokens: list[str]) -> list:
        seeds = [sum(map(ord, word)) for word in tokens]
        vectors = torch.cat([noise(1, 1, 128, seed=seed) for seed in seeds], dim=1)
        return [[vectors, {"pooled_output": noise(1, 768, seed=sum(seeds))}]]


UNETS = (
    SmallFamily("sd15", sd15, clip_l, lambda: small_vae(4), (4, 8, 8)),
    SmallFamily("sdxl", sdxl, clip_l_and_g, lambda: small_vae(4), (4, 8, 8)),
    SmallFamily("sdxl v", sdxl_v, clip_l_and_g, lambda: small_vae(4), (4, 8, 8)),
)
FAMILIES = (
    *UNETS,
    SmallFamily("chroma", chroma, t5, lambda: small_vae(16), (16, 8, 8), exact=False),
    SmallFamily("cosmos", cosmos, old_t5, small_models.vae, (16, 1, 8, 8)),
    SmallFamily("flux", flux, lambda: MadeUpEncoder("clip_l", "t5xxl"), lambda: small_vae(16), (16, 8, 8), False),
    SmallFamily("qwen", qwen_image, lambda: MadeUpEncoder("qwen25_7b"), small_models.vae, (16, 1, 8, 8), False),
    SmallFamily("lumina", lumina2, lambda: MadeUpEncoder("gemma2_2b"), lambda: small_vae(16), (16, 8, 8), False),
    SmallFamily("z image", z_image, lambda: MadeUpEncoder("qwen3_4b"), lambda: small_vae(16), (16, 8, 8), False),
)


@torch.inference_mode()
def encoded(family: SmallFamily, text: str, **values: Any) -> list:
    """A CONDITIONING of ComfyUI's."""
    clip = family.clip()
    made = clip.encode_from_tokens_scheduled(clip.tokenize(text))
    return [[vectors, {**extras, **values}] for vectors, extras in made]


@torch.inference_mode()
def denoised(model: ModelPatcher, conditionings: list[list], x: torch.Tensor, sigma: float) -> list[torch.Tensor]:
    """What ComfyUI's sampler makes of x [1,C,...] for each conditioning, the positive one first; in one batch where it
    puts them into one."""
    management.load_models_gpu([model])
    model.model.current_patcher = model
    names = ("positive", "negative")[: len(conditionings)]
    conds = dict(zip(names, (convert_cond(each) for each in conditionings), strict=True))
    conds = comfy.samplers.process_conds(model.model, x, conds, CPU, torch.zeros_like(x), None, 0)
    together = [conds[name] for name in names]
    return list(comfy.samplers.calc_cond_batch(model.model, together, x, torch.tensor([sigma]), model.model_options))


def latents(family: SmallFamily, seed: int = 1) -> torch.Tensor:
    return noise(1, *family.latent, seed=seed)
