"""Trains the epsilon world's UNet from nothing, on the miniature's pictures and on what the miniature says of them.

Everything follows from one seed. The run keeps checkpoints in a folder and goes on from there to the bit, so it may be
stopped at any moment.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..files.atomic_file import write_atomically
from ..files.fingerprint import file_digest
from ..miniature.backbone import WEIGHTS, MiniatureBackbone
from ..miniature.codec_training import encode_all
from ..miniature.pretraining_pictures import draw_pictures, plan_captions
from ..miniature.pretraining_settings import Report
from ..miniature.stage import load_checkpoint, run_stage, write_checkpoint
from .pretraining_settings import UNetSettings
from .unet import SmallUNet
from .unet_training import UNetTraining

# What may change between two starts of one run: how often it tells and saves.
_HOUSEKEEPING = ("report_every", "checkpoint_every")


def save_weights(path: Path, unet: SmallUNet) -> None:
    """In bfloat16, by ComfyUI's names, with the sizes."""
    tensors = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in unet.state_dict().items()}
    metadata = {"format": "epsilon 1", "size": json.dumps(asdict(unet.size))}
    write_atomically(path, lambda beside: save_file(tensors, beside, metadata=metadata))


def pretrain(path: Path, folder: Path, settings: UNetSettings, report: Report) -> None:
    """Runs all stages, or what `folder` shows to be left of them, and writes the weights to `path`."""
    folder.mkdir(parents=True, exist_ok=True)
    stage = UNetTraining(_latents(folder / "unet_latents.pt", settings, report), plan_captions(settings), settings)
    run_stage(stage, folder / "unet.pt", _fixed(settings), settings.checkpoint_every, settings.report_every, report)
    save_weights(path, stage.averaged)


def save_weights_so_far(path: Path, folder: Path, settings: UNetSettings) -> int:
    """Writes the weights of the last checkpoint in `folder` to `path`; returns how many steps they were trained."""
    trained = load_checkpoint(folder / "unet.pt", _fixed(settings))
    if trained is None:
        raise ValueError(f"{folder} holds no checkpoint of the UNet")
    stage = UNetTraining(torch.empty(0), (), settings)
    stage.restore(trained["state"])
    save_weights(path, stage.averaged)
    return int(trained["step"])


def _latents(path: Path, settings: UNetSettings, report: Report) -> Tensor:
    """Of all pictures [N,16,16,16], by the miniature's codec."""
    fixed = {"pictures": settings.pictures, "seed": settings.seed, "miniature": file_digest(WEIGHTS)}
    saved = load_checkpoint(path, fixed)
    if saved is None:
        codec = MiniatureBackbone().codec
        saved = {"settings": fixed, "latents": encode_all(codec, draw_pictures(settings, report))}
        write_checkpoint(saved, path)
    latents: Tensor = saved["latents"]
    return latents


def _fixed(settings: UNetSettings) -> dict[str, Any]:
    """What the weights follow from."""
    chosen = {name: value for name, value in asdict(settings).items() if name not in _HOUSEKEEPING}
    return chosen | {"miniature": file_digest(WEIGHTS)}
