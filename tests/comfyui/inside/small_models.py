"""The random-weight checkpoints as ComfyUI loads them, and what checks expect to raise."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import comfy.sd
import comfy.utils
import torch
from comfy.model_patcher import ModelPatcher

FOLDER = Path()  # set by run.py


class Skipped(Exception):
    """What a check needs is not here."""


@torch.inference_mode()
def load_model(**model_options: Any) -> ModelPatcher:
    """Anima as Load Diffusion Model gives it: its weights are inference tensors."""
    return comfy.sd.load_diffusion_model(
        str(FOLDER / "diffusion_models/anima-test.safetensors"), model_options=model_options
    )


@functools.cache
def anima() -> ModelPatcher:
    return load_model()


@functools.cache
@torch.inference_mode()
def clip() -> comfy.sd.CLIP:
    return comfy.sd.load_clip(
        [str(FOLDER / "text_encoders/qwen-test.safetensors")], clip_type=comfy.sd.CLIPType.STABLE_DIFFUSION
    )


@functools.cache
@torch.inference_mode()
def vae() -> comfy.sd.VAE:
    return comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(FOLDER / "vae/wan-test.safetensors")))


def padded_context(rows: int = 1, used: int = 6, length: int = 512, seed: int = 0) -> torch.Tensor:
    """[rows,length,1024]: what a prompt of `used` words looks like to Anima."""
    context = torch.zeros(rows, length, 1024)
    context[:, :used] = torch.randn(rows, used, 1024, generator=torch.Generator().manual_seed(seed))
    return context


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@contextmanager
def raises(kind: type[BaseException], *words: str) -> Iterator[None]:
    """Fails unless the block raises `kind` with all of `words` in its message."""
    try:
        yield
    except kind as error:
        missing = [word for word in words if word not in str(error)]
        assert not missing, f"{error!s} lacks {missing}"
        return
    raise AssertionError(f"expected {kind.__name__}")
