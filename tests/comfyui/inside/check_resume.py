"""A cancelled training goes on from its checkpoint to what the uninterrupted one gives, and a name stays in its
folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import comfy.model_management as management
import folder_paths
import torch
from comfy_api.latest import io
from small_models import anima, clip, raises, vae

from anima_fast_train.masking.framing import Framing
from anima_fast_train.nodes import watched_run as train_module
from anima_fast_train.nodes.folders.checkpoints import FOLDER, CheckpointOptions, checkpoint_path
from anima_fast_train.nodes.live.progress import LiveProgress
from anima_fast_train.nodes.options.training_options import TrainingOptions
from anima_fast_train.nodes.training_run import train_on_references
from anima_fast_train.training.references.encode import UNCHANGED
from anima_fast_train.training.references.reference import make_reference
from anima_fast_train.training.result import StepReport
from anima_fast_train.training.run_options import RecentSettings
from anima_fast_train.training.settings import TrainingSettings
from anima_fast_train.training.stopping import BestState
from anima_fast_train.training.trainables.context_file import ReferenceContext

ANEW = TrainingOptions(recent=RecentSettings(keep_recent=0))  # or the second run would be the first one, found again
SETTINGS = TrainingSettings(
    steps=5,
    batch_size=1,
    learning_rate="0.3",
    num_tokens=4,
    prior_weight=1.0,
    noise_pool=2,
    evaluations=2,
    ema=0.9,
    negative_tokens=2,
)
CANCELLED_AT = 3


@contextmanager
def temporary_folders() -> Iterator[Path]:
    """The output folder for checkpoints and the models folder for contexts."""
    before = folder_paths.get_output_directory(), folder_paths.models_dir
    with tempfile.TemporaryDirectory() as folder:
        folder_paths.set_output_directory(folder)
        folder_paths.models_dir = folder
        try:
            yield Path(folder)
        finally:
            folder_paths.set_output_directory(before[0])
            folder_paths.models_dir = before[1]


class CancelsItself(LiveProgress):
    """As a user who presses cancel after a step."""

    def __call__(self, report: StepReport) -> None:
        if report.step == CANCELLED_AT:
            management.interrupt_current_processing()
        super().__call__(report)


def train(checkpoints: CheckpointOptions, settings: TrainingSettings = SETTINGS) -> io.NodeOutput:
    mask = torch.zeros(64, 64)
    mask[16:48, 16:48] = 1
    reference = make_reference(torch.rand(64, 64, 3, generator=torch.Generator().manual_seed(0)), mask, "1girl")
    with torch.inference_mode():
        return train_on_references(
            anima(),
            clip(),
            vae(),
            [reference],
            Framing(size=64),
            settings,
            replace(ANEW, checkpoints=checkpoints),
            UNCHANGED,
        )


def cancelled(checkpoints: CheckpointOptions) -> None:
    train_module.LiveProgress = CancelsItself
    try:
        with raises(management.InterruptProcessingException):
            train(checkpoints)
    finally:
        train_module.LiveProgress = LiveProgress


def check_a_cancelled_training_resumes_to_what_the_whole_one_gives() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        whole, _, losses = train(CheckpointOptions()).args
        with temporary_folders() as output:
            cancelled(CheckpointOptions(checkpoint_every=100, checkpoint_name="people/pause"))
            assert (output / FOLDER / "people" / "pause.safetensors").is_file()
            resumed, _, resumed_losses = train(CheckpointOptions(resume_from="people/pause.safetensors")).args
    finally:
        torch.set_num_threads(threads)
    assert len(losses["loss"]) == SETTINGS.steps
    assert resumed_losses == losses
    assert all(torch.equal(resumed.tensors()[name], tensor) for name, tensor in whole.tensors().items())


def check_without_checkpoint_every_nothing_is_written() -> None:
    with temporary_folders() as output:
        cancelled(CheckpointOptions())
        assert list(output.iterdir()) == []


def check_other_settings_are_named() -> None:
    with temporary_folders():
        cancelled(CheckpointOptions(checkpoint_every=1))
        with raises(ValueError, "cannot resume: learning_rate is '0.5' here"):
            train(CheckpointOptions(resume_from="training"), replace(SETTINGS, learning_rate="0.5"))


def check_names_that_leave_the_folder_are_refused() -> None:
    with temporary_folders() as output:
        (output / FOLDER).mkdir()
        (output / FOLDER / "link").symlink_to(output)
        for name in (
            "../context",
            "/etc/passwd",
            "a/../../b",
            "..",
            "",
            "  ",
            "folder/",
            ".safetensors",
        ):
            with raises(ValueError, f"checkpoint_name is {name!r}", FOLDER):
                checkpoint_path("checkpoint_name", name)
        # Who made a link below the folder meant it.
        assert checkpoint_path("checkpoint_name", "link/there") == output / FOLDER / "link" / "there.safetensors"
        assert checkpoint_path("resume_from", " mine ") == output / FOLDER / "mine.safetensors"


def check_a_missing_checkpoint_is_one_sentence() -> None:
    with temporary_folders(), raises(ValueError, "nowhere.safetensors", "cannot be read"):
        train(CheckpointOptions(resume_from="nowhere"))


def check_a_diverged_training_keeps_tokens_that_load_context_can_read() -> None:
    diverged, BestState.diverged = BestState.diverged, lambda *_: True
    try:
        with temporary_folders() as models:
            with raises(ValueError, "training diverged", "diverged_00001_.safetensors, for Load Context"):
                train(CheckpointOptions(), replace(SETTINGS, steps=4, evaluations=4))
            kept = ReferenceContext.load(models / "anima_contexts" / "diverged_00001_.safetensors")
    finally:
        BestState.diverged = diverged
    assert kept.positive.tokens.isfinite().all()
