"""The digest under which a finished training is found again: of all that it was given, and of what it was done with."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy.weight_adapter import WeightAdapterBase

from ...masking.framing import Framing
from ...training.files.fingerprint import CannotTell, Fingerprint, file_digest
from ...training.references.augmentation import Augmentation
from ...training.references.reference import Reference
from ...training.references.reference_list import ReferenceList
from ...training.settings import TrainingSettings
from ..models.applied_context import ContextReader, carries_contexts
from ..options.training_options import TrainingOptions

ROOT = Path(__file__).parents[2]
# The code that decides what a training learns; other code gives other tokens.
TRAINS = ("masking", "training", *(f"nodes/{room}" for room in ("anima", "cosmos", "joint", "models", "unet")))
# What a patcher may carry that changes a model in ways which cannot be compared.
UNKNOWN = ("hook_patches", "injections", "attachments", "additional_models", "forced_hooks", "weight_wrapper_patches")


def run_key(
    models: tuple[ModelPatcher, Any, Any],
    references: ReferenceList | Sequence[Reference],
    framing: Framing,
    settings: TrainingSettings,
    options: TrainingOptions,
    augmentation: Augmentation,
) -> str | None:
    """models: MODEL, CLIP and VAE. None where it cannot be known whether another run is given the same, or where the
    run goes on from a checkpoint or is to write some."""
    if options.checkpoints.checkpoint_every or options.checkpoints.resume_from.strip():
        return None
    fingerprint = Fingerprint()
    try:
        fingerprint.add(code_digest())
        add_models(fingerprint, *models)
        fingerprint.add(references if isinstance(references, ReferenceList) else list(references))
        fingerprint.add((framing, settings, augmentation, options.begin))
        fingerprint.add((options.mask_reduction, options.recompute, options.precision))
    except (CannotTell, RuntimeError, AttributeError, TypeError):  # weights of kinds that are not known here
        return None
    return fingerprint.hexdigest()


@lru_cache(maxsize=1)
def code_digest() -> str:
    fingerprint = Fingerprint()
    for folder in TRAINS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            fingerprint.add((path.relative_to(ROOT).as_posix(), file_digest(path)))
    return fingerprint.hexdigest()


def add_models(fingerprint: Fingerprint, model: ModelPatcher, clip: Any, vae: Any) -> None:
    add_patcher(fingerprint, model)
    fingerprint.add(str(model.model.get_dtype_inference()))
    fingerprint.add(model.load_device.type)
    fingerprint.add(model.get_model_object("model_sampling"))
    add_patcher(fingerprint, clip.patcher)
    fingerprint.add((clip.layer_idx, getattr(clip, "tokenizer_options", {})))
    add_patcher(fingerprint, vae.patcher)
    fingerprint.add(str(vae.vae_dtype))


def add_patcher(fingerprint: Fingerprint, patcher: ModelPatcher) -> None:
    """Weights as they are without patches, wherever ComfyUI keeps them now, then the patches."""
    for name in UNKNOWN:
        if getattr(patcher, name, None):
            raise CannotTell(name)
    for name, [(weight, _), *patches] in sorted(patcher.get_key_patches().items()):
        fingerprint.add(name)
        fingerprint.add_weight(weight)
        fingerprint.add([comparable(patch) for patch in patches])
    fingerprint.add(comparable(patcher.object_patches))
    fingerprint.add(comparable({name: value for name, value in patcher.model_options.items() if value}))


def comparable(value: Any) -> Any:
    """The same with LoRA adapters and contexts as the tensors that they add."""
    if isinstance(value, WeightAdapterBase):
        return type(value), comparable(value.weights)
    if carries_contexts(value):
        return ContextReader, value.source.applied
    if isinstance(value, dict):
        return {name: comparable(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [comparable(each) for each in value]
    return value
