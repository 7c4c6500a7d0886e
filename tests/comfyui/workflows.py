"""Workflows in ComfyUI's API format, small enough for a CPU: the graph of a user with everything but the sizes kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
from make_checkpoints import CLIP_FILE, MODEL_FILE, VAE_FILE
from PIL import Image

REFERENCE = "reference.png"
PLAIN_PICTURE = "no-alpha.png"

Workflow = dict[str, dict[str, Any]]


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def write_inputs(folder: Path) -> None:
    """A picture whose painted part is transparent, as ComfyUI's mask editor leaves it, and one without any mask."""
    across, down = numpy.meshgrid(numpy.linspace(0, 1, 96), numpy.linspace(0, 1, 96))
    pixels = numpy.stack([across, down, 1 - across, numpy.ones_like(across)], axis=-1)
    pixels[24:72, 32:64] = (0.9, 0.2, 0.1, 0.0)
    picture = Image.fromarray((pixels * 255).astype(numpy.uint8), "RGBA")
    picture.save(folder / REFERENCE)
    picture.convert("RGB").save(folder / PLAIN_PICTURE)


def loaders() -> Workflow:
    return {
        "model": node("UNETLoader", unet_name=Path(MODEL_FILE).name, weight_dtype="default"),
        "clip": node("CLIPLoader", clip_name=Path(CLIP_FILE).name, type="stable_diffusion", device="default"),
        "vae": node("VAELoader", vae_name=Path(VAE_FILE).name),
    }


def training(masked: bool = True, **changes: Any) -> Workflow:
    """Loaders, reference, options and the training node, with its info and its losses shown."""
    inputs = {
        "model": ["model", 0],
        "clip": ["clip", 0],
        "vae": ["vae", 0],
        "reference_image": ["reference", 0],
        "training_prompt": "1girl",
        "training_image_size": 64,
        "num_tokens": 4,
        "init_std": 0.02,
        "train_steps": 6,
        "learning_rate": "0.05",
        "seed": 1,
        "options": ["options", 0],
    }
    if masked:
        inputs["training_mask"] = ["reference", 1]
    kind = "AnimaFastTrainMaskedReferenceContext" if masked else "AnimaFastTrainReferenceContext"
    return {
        **loaders(),
        "reference": node("LoadImage", image=REFERENCE),
        "options": training_options(),
        "train": node(kind, **{**inputs, **changes}),
        "info": node("PreviewAny", source=["train", 1]),
    }


def training_options(**changes: Any) -> dict[str, Any]:
    """All widgets of the options node, chosen for speed."""
    inputs = {
        "batch_size": 2,
        "gradient_accumulation": 1,
        "prior_weight": 1.0,
        "unmasked_weight": 0.0,
        "normalize_area": True,
        "mask_source": "mask",
        "mask_reduction": "area",
        "crop_to_mask": False,
        "crop_margin": 0.1,
        "fit": "stretch",
        "rate_shape": "constant",
        "warm_up": 0.0,
        "timestep_sampling": "logit_normal",
        "timestep_shift": 0.0,
        "weight_decay": 0.0,
        "clip_norm": 0.0,
        "ema": 0.0,
        "per_block": True,
        "evaluations": 1,
        "noise_pool": 4,
        "checkpointing": "auto",
        "precision": "auto",
        "keep_recent": 0,  # or what one test has trained another would find
        "cut_paste": 0.0,
        "token_norm": "prompt",
    }
    return node("AnimaFastTrainOptions", **{**inputs, **changes})


def sampling(model: list, steps: int = 2, seed: int = 7, scheduler: str = "simple") -> Workflow:
    """Both prompts, KSampler, and its result as an exact latent and as a picture; needs the loaders."""
    return {
        "positive": node("CLIPTextEncode", text="1girl, red hair", clip=["clip", 0]),
        "negative": node("CLIPTextEncode", text="low quality", clip=["clip", 0]),
        "canvas": node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "sampler": node(
            "KSampler",
            model=model,
            positive=["positive", 0],
            negative=["negative", 0],
            latent_image=["canvas", 0],
            seed=seed,
            steps=steps,
            cfg=4.0,
            sampler_name="euler",
            scheduler=scheduler,
            denoise=1.0,
        ),
        **saving(["sampler", 0]),
    }


def saving(samples: list) -> Workflow:
    return {
        "latent": node("SaveLatent", samples=samples, filename_prefix="tests/latent"),
        "decode": node("VAEDecode", samples=samples, vae=["vae", 0]),
        "picture": node("SaveImage", images=["decode", 0], filename_prefix="tests/picture"),
    }


def patch(model: list, context: list, scale: float = 1.0, **changes: Any) -> dict[str, Any]:
    inputs = {"start_percent": 0.0, "end_percent": 1.0, "apply_to": "positive", **changes}
    return node("AnimaFastTrainPatchModel", model=model, context=context, reference_context_scale=scale, **inputs)


def masked_training_to_picture(scale: float = 1.0, **training_changes: Any) -> Workflow:
    """The whole path: a picture and its mask are learned, and the context is sampled with."""
    return {
        **training(**training_changes),
        "patch": patch(["model", 0], ["train", 0], scale),
        **sampling(["patch", 0]),
    }


def plain_picture() -> Workflow:
    """The same sampling without any node of this pack."""
    return {**loaders(), **sampling(["model", 0])}
