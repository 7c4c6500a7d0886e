"""The node that trains a LoRA: what it hands on, what it keeps, and what it says of loading it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import comfy.model_management as management
import comfy.sd
import comfy.utils
import folder_paths
import torch
from check_lora import opened, predicted, references, share_lost, with_file
from comfy_api.latest import io
from comfy_extras.nodes_train import LoraModelLoader, SaveLoRA
from small_models import clip, load_model, raises, vae

from anima_fast_train.masking.framing import Framing
from anima_fast_train.nodes import watched_run
from anima_fast_train.nodes.folders.checkpoints import CheckpointOptions
from anima_fast_train.nodes.live.progress import LiveProgress
from anima_fast_train.nodes.lora_run import LoraFiles, train_lora_on_references
from anima_fast_train.nodes.models import merging
from anima_fast_train.nodes.options.training_options import TrainingOptions
from anima_fast_train.training.adapters.lora_reading import load_lora
from anima_fast_train.training.lora_settings import LoraTrainingSettings
from anima_fast_train.training.references.encode import UNCHANGED
from anima_fast_train.training.references.reference import make_reference
from anima_fast_train.training.references.reference_list import ReferenceList
from anima_fast_train.training.result import StepReport

SETTINGS = LoraTrainingSettings(
    steps=4, rank=2, batch_size=1, learning_rate="0.05", noise_pool=2, evaluations=1, ema=0.5, layers="attention"
)
CANCELLED_AT = 2


@contextmanager
def temporary_folders() -> Iterator[Path]:
    """For LoRAs, and for ComfyUI's output."""
    before = folder_paths.get_output_directory(), folder_paths.folder_names_and_paths["loras"]
    with tempfile.TemporaryDirectory() as folder:
        folder_paths.set_output_directory(folder)
        folder_paths.folder_names_and_paths["loras"] = ([folder], {".safetensors"})
        try:
            yield Path(folder)
        finally:
            folder_paths.set_output_directory(before[0])
            folder_paths.folder_names_and_paths["loras"] = before[1]


def train(
    model: Any,
    settings: LoraTrainingSettings = SETTINGS,
    files: LoraFiles = LoraFiles(),
    options: TrainingOptions = TrainingOptions(),
) -> io.NodeOutput:
    mask = torch.zeros(64, 64)
    mask[16:48, 16:48] = 1
    picture = torch.rand(64, 64, 3, generator=torch.Generator().manual_seed(0))
    shown = ReferenceList((make_reference(picture, mask, "1girl"),))
    with torch.inference_mode():
        return train_lora_on_references(
            (model, clip(), vae()), shown, Framing(size=64), settings, options, UNCHANGED, files
        )


def check_what_is_handed_on_loads_through_comfyui_and_its_file_is_the_same() -> None:
    model = load_model(dtype=torch.float32)
    with temporary_folders() as folder:
        tensors, info, loss_map, name, words = train(model, files=LoraFiles("people/mine")).args
        assert name == "people/mine_00001_.safetensors" and f"saved as: {name}, for Load LoRA" in info
        assert "LoRA: rank 2, alpha 2, in 80 layers" in info
        assert "merged into weights of float32, as Load LoRA does, it loses nothing" in info
        assert len(loss_map["loss"]) == SETTINGS.steps and words == ""
        saved = comfy.utils.load_torch_file(str(folder / name), safe_load=True)
        assert saved.keys() == tensors.keys() and all(torch.equal(saved[each], tensors[each]) for each in saved)
        with torch.inference_mode():
            [merged] = LoraModelLoader.execute(model, tensors, 1.0, False).args
            [bypass] = LoraModelLoader.execute(model, tensors, 1.0, True).args
            SaveLoRA.execute(tensors, "again")
        again = comfy.utils.load_torch_file(str(folder / "again_00001_.safetensors"))
        assert all(torch.equal(again[each], tensors[each]) for each in tensors)
    moved = (predicted(merged) - predicted(model)).norm()
    assert moved > 0
    assert (predicted(bypass) - predicted(merged)).norm() < 1e-3 * moved


def check_the_words_for_prompts_are_handed_on_and_in_the_file() -> None:
    with temporary_folders() as folder:
        said = replace(SETTINGS, subject_words="silver hair, cape")
        *_, info, _, name, words = train(load_model(), said, LoraFiles("a")).args
        assert words == "silver hair, cape" and "write in the prompt: silver hair, cape" in info
        metadata = comfy.utils.load_torch_file(str(folder / name), return_metadata=True)[1]
        assert metadata["modelspec.trigger_phrase"] == words
        assert metadata["anima_fast_train.prompt"] == "1girl, silver hair, cape"


def check_training_goes_on_from_a_file_and_keeps_what_came_before() -> None:
    model = load_model(dtype=torch.float32)
    with temporary_folders() as folder:
        name = train(model, files=LoraFiles("first")).args[3]
        second = train(model, files=LoraFiles("second", start=name))
        metadata = comfy.utils.load_torch_file(str(folder / second.args[3]), return_metadata=True)[1]
        assert '"steps": 4' in metadata["anima_fast_train.earlier"]
        for start, settings, words in (
            ("nowhere.safetensors", SETTINGS, "start_lora 'nowhere.safetensors' is not there"),
            (name, replace(SETTINGS, rank=1), "the LoRA to go on from is a LoRA of rank 2 in 80 layers"),
        ):
            with raises(ValueError, words):
                train(model, settings, LoraFiles("third", start=start))
        assert not list(folder.glob("third*"))


class CancelsItself(LiveProgress):
    def __call__(self, report: StepReport) -> None:
        if report.step == CANCELLED_AT:
            management.interrupt_current_processing()
        super().__call__(report)


def check_a_cancelled_training_resumes_to_what_the_whole_one_gives() -> None:
    model = load_model(dtype=torch.float32)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        whole = train(model).args[0]
        with temporary_folders():
            watched_run.LiveProgress = CancelsItself
            try:
                with raises(management.InterruptProcessingException):
                    train(model, options=TrainingOptions(checkpoints=CheckpointOptions(checkpoint_every=100)))
            finally:
                watched_run.LiveProgress = LiveProgress
            options = TrainingOptions(checkpoints=CheckpointOptions(resume_from="training"))
            resumed = train(model, options=options).args[0]
    finally:
        torch.set_num_threads(threads)
    assert whole.keys() == resumed.keys() and all(torch.equal(whole[each], resumed[each]) for each in whole)


def check_what_merging_loses_is_what_load_lora_loses() -> None:
    for dtype, least, most in ((torch.bfloat16, 0.001, 0.2), (torch.float8_e4m3fn, 0.02, 2.0)):
        model = load_model(dtype=dtype)
        with temporary_folders() as folder:
            name = train(model, replace(SETTINGS, learning_rate="0.2"), LoraFiles("a")).args[3]
            with opened(model) as backbone:
                lora = load_lora(folder / name, backbone.adaptable_layers(), "anima")
        lost = share_lost(model, with_file(model, lora), lora, least_move=0.0)
        with opened(model) as backbone:
            said = merging.share_lost(backbone, references()[0], lora.at_level(0.5))
        assert least < lost < most, (dtype, lost)
        assert 0.4 < said / lost < 2.5, (dtype, said, lost)


def check_an_empty_name_keeps_no_file() -> None:
    with temporary_folders() as folder:
        *_, info, _, name, _ = train(load_model(), files=LoraFiles(" ")).args
        assert (name, list(folder.iterdir())) == ("", []) and "not saved: filename_prefix is empty" in info


def check_what_the_model_has_no_way_in_for_is_refused_before_anything_is_encoded() -> None:
    with raises(ValueError, "lora_kind is 'LoCon' and the model (anima) has no convolutions"):
        train(load_model(), replace(SETTINGS, kind="LoCon"))
    with raises(ValueError, "lora_rank is 257, expected at most 256"):
        train(load_model(), replace(SETTINGS, rank=257))
