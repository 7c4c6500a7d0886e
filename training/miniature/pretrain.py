"""Trains the miniature from nothing: draws its pictures, learns the latent codec, then the transformer.

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
from .architecture import MiniatureTransformer
from .autoencoder import Autoencoder
from .codec_training import CodecTraining, encode_all, scale_latents
from .pretraining_pictures import draw_pictures, plan_captions
from .pretraining_settings import PretrainingSettings, Report
from .prompt import TagEncoder
from .stage import load_checkpoint, run_stage, write_checkpoint
from .transformer_training import TransformerTraining

# What may change between two starts of one run: how often it tells and saves.
_HOUSEKEEPING = ("report_every", "checkpoint_every")


def save_weights(path: Path, codec: Autoencoder, transformer: MiniatureTransformer, tags: TagEncoder) -> None:
    """All three parts in one bfloat16 safetensors file, with the sizes and the vocabulary."""
    parts = {"codec": codec, "transformer": transformer, "tags": tags}
    tensors = {
        f"{part}.{name}": tensor.to(torch.bfloat16).contiguous()
        for part, module in parts.items()
        for name, tensor in module.state_dict().items()
    }
    sizes = {name: str(value) for name, value in asdict(transformer.size).items()}
    metadata = {"format": "miniature 2", "vocabulary": json.dumps(list(tags.index)), **sizes}
    write_atomically(path, lambda beside: save_file(tensors, beside, metadata=metadata))


def pretrain(path: Path, folder: Path, settings: PretrainingSettings, report: Report) -> None:
    """Runs all stages, or what `folder` shows to be left of them, and writes the weights to `path`."""
    folder.mkdir(parents=True, exist_ok=True)
    codec, latents = _encoded_pictures(folder, settings, report)
    stage = TransformerTraining(latents, plan_captions(settings), settings)
    run_stage(
        stage, folder / "transformer.pt", _fixed(settings), settings.checkpoint_every, settings.report_every, report
    )
    save_weights(path, codec, *stage.averaged)


def save_weights_so_far(path: Path, folder: Path, settings: PretrainingSettings) -> int:
    """Writes the weights of the last checkpoint in `folder` to `path`; returns how many steps they were trained."""
    encoded = load_checkpoint(folder / "latents.pt", _codec_settings(settings))
    trained = load_checkpoint(folder / "transformer.pt", _fixed(settings))
    if encoded is None or trained is None:
        raise ValueError(f"{folder} holds no checkpoint of the transformer")
    stage = TransformerTraining(encoded["latents"], (), settings)
    stage.restore(trained["state"])
    save_weights(path, _codec(encoded), *stage.averaged)
    return int(trained["step"])


def _encoded_pictures(folder: Path, settings: PretrainingSettings, report: Report) -> tuple[Autoencoder, Tensor]:
    """The trained codec and the latents of all pictures."""
    fixed, path = _codec_settings(settings), folder / "latents.pt"
    saved = load_checkpoint(path, fixed)
    if saved is None:
        pictures = _drawn_pictures(folder / "pictures.pt", settings, report)
        stage = CodecTraining(pictures, settings)
        run_stage(stage, folder / "codec.pt", fixed, settings.checkpoint_every, settings.report_every, report)
        codec = scale_latents(stage.codec, pictures)
        saved = {"settings": fixed, "codec": codec.state_dict(), "latents": encode_all(codec, pictures)}
        write_checkpoint(saved, path)
        (folder / "pictures.pt").unlink()
    return _codec(saved), saved["latents"]


def _drawn_pictures(path: Path, settings: PretrainingSettings, report: Report) -> Tensor:
    """The pictures, which wait at `path` until the codec has been trained on them."""
    fixed = {"pictures": settings.pictures, "seed": settings.seed}
    saved = load_checkpoint(path, fixed)
    if saved is None:
        saved = {"settings": fixed, "drawn": draw_pictures(settings, report)}
        write_checkpoint(saved, path)
    drawn: Tensor = saved["drawn"]
    return drawn


def _codec(saved: dict[str, Any]) -> Autoencoder:
    codec = Autoencoder()
    codec.load_state_dict(saved["codec"])
    return codec.eval()


def _fixed(settings: PretrainingSettings) -> dict[str, Any]:
    return {name: value for name, value in asdict(settings).items() if name not in _HOUSEKEEPING}


def _codec_settings(settings: PretrainingSettings) -> dict[str, Any]:
    """The settings that the pictures and the codec follow from."""
    return {
        name: value
        for name, value in _fixed(settings).items()
        if name in ("pictures", "seed") or name.startswith("codec_")
    }
