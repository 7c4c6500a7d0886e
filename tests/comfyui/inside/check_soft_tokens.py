"""A context of imported soft tokens samples what the project that they come from samples with them, and its loader
takes the files that we write.

That loader is asked where the environment variable ANIMA_LORA_ADAPTER, or a folder beside ComfyUI, leads to a clone of
sorryhyun/ComfyUI-Anima_lora-Adapter; what its documentation says is checked everywhere. At commit 45d6fdd it divides
what ComfyUI calls the timestep by 1000, which for Anima is the sigma itself, and so reads bucket 0 in every step; its
trainer and its documentation mean the bucket of the sigma. It is asked as it is for files of one bucket, and with the
divisor of the model for others.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import comfy.samplers
import torch
from check_conditioning import STEPS, assert_same, prompt, sampled
from check_patch import context_for
from comfy.model_patcher import ModelPatcher
from safetensors.torch import save_file
from small_models import Skipped, anima, raises

from anima_fast_train.nodes.models.patch import patch_model
from anima_fast_train.training.trainables.context_file import ReferenceContext
from anima_fast_train.training.trainables.soft_tokens import to_soft_tokens
from anima_fast_train.training.trainables.stored_context import load_context

LAYERS, COUNT, WIDTH, BUCKETS = 6, 4, 1024, 13  # of the model's ten blocks


def loader(divisor: float | None = None) -> ModuleType:
    """The other project's module that reads and applies such files, as it is or with another divisor."""
    beside = Path(sys.path[0]).parent / "ComfyUI-Anima_lora-Adapter"
    path = Path(os.environ.get("ANIMA_LORA_ADAPTER") or beside, "soft_tokens.py")
    if not path.is_file():
        raise Skipped("no clone of sorryhyun/ComfyUI-Anima_lora-Adapter: name it with ANIMA_LORA_ADAPTER")
    spec = importlib.util.spec_from_file_location("anima_lora_soft_tokens", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if divisor is not None:
        assert isinstance(module._FLOW_MULTIPLIER, float)
        module._FLOW_MULTIPLIER = divisor
    return module


def tensors(dtype: torch.dtype = torch.bfloat16) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(11)
    held = {
        "tokens": torch.randn(LAYERS, COUNT, WIDTH, generator=generator),
        "t_offsets.weight": torch.randn(BUCKETS, LAYERS * WIDTH, generator=generator),
    }
    return {name: tensor.to(dtype) for name, tensor in held.items()}


@contextmanager
def file_of(place: str = "end_of_sequence") -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "soft.safetensors")
        save_file(tensors(), path, {"ss_splice_position": place, "ss_num_tokens": str(COUNT)})
        yield path


def with_tail_overwritten(held: dict[str, torch.Tensor]) -> ModelPatcher:
    """What the documentation of the format says, in the first blocks of a model."""
    tokens, offsets = held["tokens"].float(), held["t_offsets.weight"].float()

    def overwrite(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, extra_options: dict, **_: Any) -> dict:
        block = extra_options["block_index"]
        if block >= LAYERS:
            return {}
        bucket = min(int(float(extra_options["sigmas"][0]) * BUCKETS), BUCKETS - 1)
        own = tokens[block] + offsets[bucket].view(LAYERS, WIDTH)[block]
        changed = torch.cat([k[:, :-COUNT], own.to(k).expand(k.shape[0], -1, -1)], dim=1)
        return {"k": changed, "v": changed}

    model = anima().clone()
    model.set_model_attn2_patch(overwrite)
    return model


def latents(model: ModelPatcher) -> torch.Tensor:
    return sampled(model, prompt(2), prompt(9))


def check_imported_tokens_act_as_the_format_is_documented() -> None:
    expected = latents(with_tail_overwritten(tensors()))
    for place in ("end_of_sequence", "front_of_padding"):
        with file_of(place) as path:
            assert_same(latents(patch_model(anima(), load_context(path), apply_to="both")), expected)
    assert not torch.allclose(latents(anima()), expected, atol=1e-2)
    sigmas = comfy.samplers.calculate_sigmas(anima().get_model_object("model_sampling"), "simple", STEPS)
    assert len({int(float(sigma) * BUCKETS) for sigma in sigmas[:-1]}) == STEPS, "each step reads a bucket of its own"


def check_imported_tokens_act_as_with_the_loader_of_their_project() -> None:
    theirs = loader(anima().get_model_object("model_sampling").multiplier)
    for place in ("end_of_sequence", "front_of_padding"):
        with file_of(place) as path:
            model = anima().clone()
            assert theirs.apply_soft_tokens(model, str(path), 1.0)
            assert_same(latents(patch_model(anima(), load_context(path), apply_to="both")), latents(model))


def check_what_we_write_acts_with_the_loader_of_the_other_project() -> None:
    with file_of() as path:
        trained = context_for(anima())
        with raises(ValueError, "expected one that was trained with token_attention 'shared'"):
            to_soft_tokens(trained)
        shared = replace(trained, positive=replace(trained.positive, own=0))
        for context in (shared, load_context(path)):
            exported = path.with_name(f"{context.num_blocks}.safetensors")
            exported.write_bytes(to_soft_tokens(context))
            model = anima().clone()
            theirs = loader() if context.ranges == 1 else loader(model.get_model_object("model_sampling").multiplier)
            assert theirs.apply_soft_tokens(model, str(exported), 1.0)
            assert_same(latents(model), latents(patch_model(anima(), context, apply_to="both")))


def check_saved_as_a_context_it_acts_the_same() -> None:
    with file_of() as path:
        soft = load_context(path)
        soft.save(path.with_name("saved.safetensors"))
        again = ReferenceContext.load(path.with_name("saved.safetensors"))
        assert torch.equal(latents(patch_model(anima(), again)), latents(patch_model(anima(), soft)))
