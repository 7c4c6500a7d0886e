"""Writes small random-weight checkpoints that ComfyUI loads as Anima, its text encoder and its VAE, and as SD 1.5.

    <ComfyUI's python> make_checkpoints.py <ComfyUI's folder> <models folder>

The modules are ComfyUI's own, so each file has exactly the keys that its loaders look for. Anima shrinks to a width of
256, for which ComfyUI assumes 10 blocks; the VAE shrinks too; Qwen3 0.6B has its sizes written into ComfyUI. Files that
are there are kept.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from pathlib import Path

ANIMA_WIDTH = 256
VAE_WIDTH = 16
MODEL_FILE = "diffusion_models/anima-test.safetensors"
CLIP_FILE = "text_encoders/qwen-test.safetensors"
VAE_FILE = "vae/wan-test.safetensors"
OTHER_MODEL_FILE = "diffusion_models/cosmos-test.safetensors"
OTHER_VAE_FILE = "vae/taesd-test.safetensors"
CHECKPOINT_FILE = "checkpoints/sd15-test.safetensors"


def main(comfyui: Path, models: Path) -> None:
    sys.path.insert(0, str(comfyui))
    from comfy.cli_args import args

    args.cpu = True  # asked for at the first import of comfy.model_management
    makers: dict[str, Callable] = {
        MODEL_FILE: lambda: anima("anima"),
        CLIP_FILE: qwen,
        VAE_FILE: wan_vae,
        OTHER_MODEL_FILE: lambda: anima("cosmos_predict2"),
        OTHER_VAE_FILE: taesd,
    }
    for seed, (name, make) in enumerate(makers.items()):
        if not (models / name).exists():
            write(models / name, randomised(make(), seed))
    if not (models / CHECKPOINT_FILE).exists():
        write(models / CHECKPOINT_FILE, stable_diffusion())


def anima(image_model: str):
    """Anima, or, without the adapter that tells it apart, the Cosmos model that it was made from."""
    import comfy.ldm.anima.model
    import comfy.ldm.cosmos.predict2
    import comfy.model_detection
    import comfy.ops
    import torch

    # What ComfyUI's detection reads from a checkpoint: 68 = (16 latent channels + 1 padding mask) times a patch of 2x2.
    keys = {
        "x_embedder.proj.1.weight": torch.empty(ANIMA_WIDTH, 68, device="meta"),
        "blocks.0.mlp.layer1.weight": torch.empty(0),
    }
    if image_model == "anima":
        keys["llm_adapter.blocks.0.cross_attn.q_proj.weight"] = torch.empty(0)
    config = comfy.model_detection.detect_unet_config(keys, "")
    config.pop("image_model")
    kind = comfy.ldm.anima.model.Anima if image_model == "anima" else comfy.ldm.cosmos.predict2.MiniTrainDIT
    return kind(**config, device="cpu", dtype=torch.bfloat16, operations=comfy.ops.disable_weight_init)


def qwen():
    import comfy.ops
    import comfy.text_encoders.llama
    import torch

    return comfy.text_encoders.llama.Qwen3_06B({}, torch.bfloat16, torch.device("cpu"), comfy.ops.disable_weight_init)


def wan_vae():
    import comfy.ldm.wan.vae
    import torch

    model = comfy.ldm.wan.vae.WanVAE(
        dim=VAE_WIDTH,
        z_dim=16,
        dim_mult=[1, 2, 4, 4],
        num_res_blocks=2,
        attn_scales=[],
        temperal_downsample=[False, True, True],
        image_channels=3,
        conv_out_channels=3,
        dropout=0.0,
    )
    return model.to(torch.bfloat16)


def taesd():
    import comfy.taesd.taesd

    return comfy.taesd.taesd.TAESD(latent_channels=4)


def stable_diffusion() -> dict:
    """SD 1.5 with two levels instead of four, its CLIP-L, which has its sizes written into ComfyUI, and a small VAE."""
    import json

    import comfy.clip_model
    import comfy.ops
    import comfy.sd1_clip
    import torch
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

    unet = UNetModel(
        image_size=32,
        in_channels=4,
        out_channels=4,
        model_channels=320,  # by which ComfyUI knows it
        num_res_blocks=[1, 1],
        channel_mult=[1, 1],
        transformer_depth=[1, 1],
        transformer_depth_output=[1, 1, 1, 1],
        transformer_depth_middle=1,
        num_heads=8,
        use_spatial_transformer=True,
        context_dim=768,
        legacy=False,
        dtype=torch.float16,
        device="cpu",
        operations=comfy.ops.disable_weight_init,
    )
    config = json.loads((Path(comfy.sd1_clip.__file__).parent / "sd1_clip_config.json").read_text())
    clip = comfy.clip_model.CLIPTextModel(config, torch.float16, "cpu", comfy.ops.disable_weight_init)
    parts = {"model.diffusion_model.": unet, "cond_stage_model.transformer.": clip, "first_stage_model.": taesd()}
    return {
        prefix + name: tensor
        for seed, (prefix, module) in enumerate(parts.items(), 10)
        for name, tensor in randomised(module, seed).items()
    }


def randomised(module, seed: int) -> dict:
    """The module's state, filled so that activations stay near 1 through all layers and no gate or last layer is
    closed."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    state = module.state_dict()
    for name, tensor in state.items():
        if not tensor.is_floating_point():
            continue
        if name.endswith("bias"):
            tensor.data.zero_()
        elif name.startswith("blocks.") and name.endswith(("cross_attn.q_norm.weight", "cross_attn.k_norm.weight")):
            # Or a prompt of ten words would drown in 500 zero keys.
            tensor.data.fill_(3.0)
        elif name.endswith("gamma") or tensor.ndim < 2:
            tensor.data.fill_(1.0)
        else:
            fan_in = 1 if name.endswith(("embed_tokens.weight", "embed.weight")) else tensor[0].numel()
            tensor.data.normal_(0.0, 1.0 / math.sqrt(fan_in), generator=generator)
    return {name: tensor.data.contiguous() for name, tensor in state.items()}


def write(path: Path, state: dict) -> None:
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}.part")
    save_file(state, beside)
    os.replace(beside, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
