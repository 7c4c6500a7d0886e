"""Gets the wired model onto the device for training, and back to where ComfyUI had it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import comfy.model_management as management
import torch
from comfy.model_patcher import ModelPatcher

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


def training_clone(model: ModelPatcher, precision: str) -> ModelPatcher:
    """A clone with the patches of `model` whose weights stay in place while a backward pass remembers them.

    Such a clone shares its weights with `model`, unless ComfyUI streams them to the GPU piece by piece (dynamic
    VRAM, where a weight may be gone before the backward pass reads it); then the file is loaded once more.
    precision: "auto" computes in the precision that ComfyUI chose.
    Raises ValueError where the file is needed and the loader of `model` did not say which it is.
    """
    if model.is_dynamic() and model.cached_patcher_init is None:
        raise ValueError(
            "the model comes from a loader that cannot load it again, which training needs here: use Load Diffusion "
            "Model"
        )
    # Loaded outside inference mode, the weights of a second copy are ordinary tensors.
    clone = model.clone(disable_dynamic=True)
    if precision != "auto":
        clone.set_model_compute_dtype(DTYPES[precision])
    return clone


@contextmanager
def loaded_for_training(model: ModelPatcher) -> Iterator[None]:
    """Inside, all of `model` is on its device, with its patches.

    A weight that is only streamed in would be overwritten before the backward pass reads it, so the whole model has to
    fit. Raises ValueError where ComfyUI was told to stream all the same.
    """
    try:
        with torch.inference_mode():  # as for sampling
            management.load_models_gpu([model], force_full_load=True)
        if model.model.model_lowvram:
            raise ValueError(
                "ComfyUI runs with --novram, expected it without: training needs all of the model on the GPU"
            )
        yield
    finally:
        model.eject_model()


@contextmanager
def in_training() -> Iterator[None]:
    """ComfyUI's flag by which its models choose code that has a backward pass."""
    before = management.in_training
    management.in_training = True
    try:
        yield
    finally:
        management.in_training = before


def is_loaded(model: ModelPatcher) -> bool:
    """Whether ComfyUI holds the weights of `model` on a device, through whichever clone."""
    return any(model.is_clone(other) for other in management.loaded_models() if other is not None)


def unload(model: ModelPatcher) -> None:
    """Take the weights of `model` off the GPU; models with other weights stay where they are."""
    if model.load_device.type == "cpu":
        return
    others = [
        loaded
        for loaded in management.current_loaded_models
        if loaded.model is None or not model.is_clone(loaded.model)
    ]
    management.free_memory(1e30, model.load_device, keep_loaded=others)
    management.soft_empty_cache()
