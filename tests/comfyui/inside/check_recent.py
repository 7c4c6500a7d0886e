"""A finished context is kept, and the same training finds it again, in this program and in the next."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import comfy.lora
import folder_paths
import torch
from small_models import FOLDER as MODELS
from small_models import anima, clip, load_model, noise, vae

from anima_fast_train.masking.framing import Framing
from anima_fast_train.nodes.folders.checkpoints import CheckpointOptions
from anima_fast_train.nodes.models.patch import patch_model
from anima_fast_train.nodes.options.training_options import TrainingOptions
from anima_fast_train.nodes.recent.recent_contexts import RecentContexts
from anima_fast_train.nodes.recent.run_key import run_key
from anima_fast_train.nodes.training_run import train_on_references
from anima_fast_train.training.references.augmentation import Augmentation
from anima_fast_train.training.references.encode import UNCHANGED
from anima_fast_train.training.references.reference import make_reference
from anima_fast_train.training.run_options import RecentSettings
from anima_fast_train.training.settings import TrainingSettings
from anima_fast_train.training.trainables.context_file import ReferenceContext, read_info
from anima_fast_train.training.trainables.thumbnail import jpeg_of

SETTINGS = TrainingSettings(steps=2, batch_size=1, num_tokens=2, noise_pool=2, evaluations=1, learning_rate="0.01")
FRAMING = Framing(size=64)


@contextmanager
def temporary_models_folder() -> Iterator[Path]:
    """Yields the folder for recent contexts in it."""
    before = folder_paths.models_dir
    with tempfile.TemporaryDirectory() as folder:
        folder_paths.models_dir = folder
        try:
            yield Path(folder, "anima_contexts", "recent")
        finally:
            folder_paths.models_dir = before


def references(shade: float = 0.0, caption: str = "1girl, red hair") -> list:
    mask = torch.zeros(64, 64)
    mask[16:48, 16:48] = 1
    image = torch.rand(64, 64, 3, generator=torch.Generator().manual_seed(0)) * (1 - shade)
    return [make_reference(image, mask, caption)]


def train(settings: TrainingSettings = SETTINGS, keep: int = 20, **changes):
    options = TrainingOptions(recent=RecentSettings(keep), **changes)
    with torch.inference_mode():
        return train_on_references(anima(), clip(), vae(), references(), FRAMING, settings, options, UNCHANGED).args


def key(model=None, given=None, settings: TrainingSettings = SETTINGS, options: TrainingOptions = TrainingOptions()):
    with torch.inference_mode():
        models = (model or anima(), clip(), vae())
        return run_key(models, given or references(), FRAMING, settings, options, Augmentation())


def check_the_same_training_is_found_instead_of_run_again() -> None:
    with temporary_models_folder() as recent:
        first, info, losses = train()
        [file] = recent.glob("*.safetensors")
        assert f"kept as: recent/{file.name}" in info and "1girl, red hair" in file.name
        again, found, others = train()
        other, _, _ = train(replace(SETTINGS, seed=5))
        assert len(list(recent.glob("*.safetensors"))) == 2
    assert torch.equal(first.positive.tokens, again.positive.tokens) and losses == others
    verdict, line, *_ = found.splitlines()
    assert verdict == info.splitlines()[0] and line.startswith(f"found among the recent contexts: recent/{file.name}")
    assert not torch.equal(first.positive.tokens, other.positive.tokens)


def check_a_context_carries_a_picture_of_what_it_learned() -> None:
    with temporary_models_folder() as recent:
        context, _, _ = train()
        [file] = recent.glob("*.safetensors")
        assert jpeg_of(read_info(file).thumbnail) == jpeg_of(context.info.thumbnail) != None  # noqa: E711
        assert ReferenceContext.load(file).info == context.info


def check_what_was_damaged_or_replaced_is_trained_again() -> None:
    with temporary_models_folder() as recent:
        train()
        [file] = recent.glob("*.safetensors")
        [record] = (recent / "runs").glob("*.json")
        whole = record.read_bytes()
        for damaged in (b"", b"{}", b"[" * 99, whole[:-40], whole.replace(b'"kept_step": ', b'"kept_step": 7')):
            record.write_bytes(damaged)
            assert "found among" not in train()[1], damaged[:40]
        train(replace(SETTINGS, seed=5))[0].save(file)
        record.write_bytes(whole)
        assert "found among" not in train()[1], "another context under its name"


def check_the_one_not_used_for_longest_is_forgotten() -> None:
    with temporary_models_folder() as recent:
        mine = recent / "my own.safetensors"
        for seed in range(3):
            train(replace(SETTINGS, seed=seed), keep=3)
        train(keep=3)[0].save(mine)  # seed 0 is found, and used last
        train(replace(SETTINGS, seed=3), keep=3)
        left = {read_info(file).seed for file in recent.glob("20*.safetensors")}
        assert left == {0, 2, 3}, left
        assert mine.is_file(), "what others put there is theirs"
        assert len(list((recent / "runs").glob("*.json"))) == 3


def check_none_is_kept_and_none_found_where_that_is_asked_for() -> None:
    with temporary_models_folder() as recent:
        train(keep=0)
        assert not recent.exists()
        train()
        assert "found among" not in train(keep=0)[1]


def check_every_input_makes_another_training() -> None:
    with torch.inference_mode():
        lora = {
            name: comfy.lora.weight_adapter.LoRAAdapter(set(), (noise(4, 2), noise(2, 4), 2.0, None, None, None))
            for name in ["diffusion_model.blocks.0.mlp.layer1.weight"]
        }
        with_lora, stronger = anima().clone(), anima().clone()
        with_lora.add_patches(lora, 0.5)
        stronger.add_patches(lora, 0.6)
        with_context = patch_model(anima(), train(keep=0)[0])
    keys = {
        "plain": key(),
        "lora": key(with_lora),
        "stronger": key(stronger),
        "context": key(with_context),
        "picture": key(given=references(0.01)),
        "caption": key(given=references(caption="1girl")),
        "seed": key(settings=replace(SETTINGS, seed=1)),
        "steps": key(settings=replace(SETTINGS, steps=3)),
        "reduction": key(options=TrainingOptions(mask_reduction="max")),
    }
    assert None not in keys.values(), keys
    assert len(set(keys.values())) == len(keys), keys
    assert key(load_model()) == keys["plain"], "the same file, loaded once more"
    with torch.inference_mode():
        other = anima().clone()
        other.add_object_patch("diffusion_model.final_layer", torch.nn.Linear(2, 2))
        assert key(other) not in (None, keys["plain"])


def check_what_cannot_be_compared_or_has_more_to_do_is_not_looked_up() -> None:
    wrapped = anima().clone()
    wrapped.set_model_unet_function_wrapper(lambda apply, given: apply(**given))
    closure = anima().clone()
    secret = object()
    closure.set_model_attn2_patch(lambda *given: secret)
    assert key(closure) is None
    assert key(options=TrainingOptions(checkpoints=CheckpointOptions(checkpoint_every=2))) is None
    assert key(options=TrainingOptions(checkpoints=CheckpointOptions(resume_from="x"))) is None
    assert RecentContexts(20).find(None) is None


def check_the_key_is_that_of_another_program() -> None:
    program = f"""
import json, sys
sys.path[:0] = {json.dumps(sys.path)}
from comfy.cli_args import args
args.cpu = args.use_pytorch_cross_attention = True
from pathlib import Path
import small_models
small_models.FOLDER = Path({str(MODELS)!r})
import check_recent
print(check_recent.key())
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.split()[-1] == key()
