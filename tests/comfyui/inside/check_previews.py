"""Previews show what the tokens of the moment draw, are kept beside those tokens, and change nothing about training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import comfy.utils
import numpy
import torch
from check_resume import temporary_folders
from comfy_api.latest import io
from PIL import Image
from small_models import anima, clip, raises, vae

from anima_fast_train.masking.framing import Framing
from anima_fast_train.nodes.live.previews import FOLDER, PreviewOptions
from anima_fast_train.nodes.options.training_options import TrainingOptions
from anima_fast_train.nodes.training_run import train_on_references
from anima_fast_train.training.references.encode import UNCHANGED
from anima_fast_train.training.references.reference import make_reference
from anima_fast_train.training.run_options import RecentSettings
from anima_fast_train.training.settings import TrainingSettings
from anima_fast_train.training.trainables.context_file import ReferenceContext

SETTINGS = TrainingSettings(
    steps=5,
    batch_size=1,
    learning_rate="0.3",
    num_tokens=4,
    prior_weight=1.0,
    noise_pool=2,
    evaluations=1,
    time_ranges=2,
    rate_shape="constant",
)
SIZE = (96, 64)  # width, height


def train(previews: PreviewOptions, settings: TrainingSettings = SETTINGS) -> io.NodeOutput:
    mask = torch.zeros(SIZE[1], SIZE[0])
    mask[16:48, 16:48] = 1
    picture = torch.rand(SIZE[1], SIZE[0], 3, generator=torch.Generator().manual_seed(0))
    framing = Framing(size=round((SIZE[0] * SIZE[1]) ** 0.5))
    options = TrainingOptions(previews=previews, recent=RecentSettings(keep_recent=0))
    with torch.inference_mode():
        return train_on_references(
            anima(), clip(), vae(), [make_reference(picture, mask, "1girl")], framing, settings, options, UNCHANGED
        )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def check_training_is_the_same_bit_by_bit_with_and_without() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with temporary_folders() as output:
            without, _, losses = train(PreviewOptions(preview_every=0)).args
            assert not (output / FOLDER).exists()
            with_previews, _, others = train(PreviewOptions(preview_every=1)).args
            assert len(names(output / FOLDER / "training")) == 2 * SETTINGS.steps
    finally:
        torch.set_num_threads(threads)
    assert losses == others
    assert all(torch.equal(with_previews.tensors()[name], tensor) for name, tensor in without.tensors().items())


def check_each_preview_is_a_picture_at_training_size_with_its_context_beside_it() -> None:
    with temporary_folders() as output:
        train(PreviewOptions(preview_every=2, preview_name="people/anna"))
        folder = output / FOLDER / "people" / "anna"
        assert names(folder) == [f"00001_step_{step:06}.{kind}" for step in (2, 4) for kind in ("png", "safetensors")]
        first, second = (numpy.asarray(Image.open(folder / f"00001_step_{step:06}.png")).astype(int) for step in (2, 4))
        contexts = [ReferenceContext.load(folder / f"00001_step_{step:06}.safetensors") for step in (2, 4)]
    assert first.shape == (SIZE[1], SIZE[0], 3)
    assert (first != second).any()
    assert [context.info.steps for context in contexts] == [2, 4]
    assert not torch.equal(contexts[0].positive.tokens, contexts[1].positive.tokens)


def check_a_second_run_overwrites_nothing() -> None:
    with temporary_folders() as output:
        train(PreviewOptions(preview_every=5))
        folder = output / FOLDER / "training"
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        train(PreviewOptions(preview_every=5), replace(SETTINGS, seed=9))
        assert {name: (folder / name).read_bytes() for name in before} == before
        assert names(folder)[2:] == ["00002_step_000005.png", "00002_step_000005.safetensors"]


def check_a_preview_stays_until_the_next_one() -> None:
    shown: list[tuple[int, Any]] = []

    def hook(value: int, total: int, preview: Any, node_id: str | None = None) -> None:
        if total == SETTINGS.steps and preview is not None:
            shown.append((value, preview[1].size))

    before = comfy.utils.PROGRESS_BAR_HOOK
    comfy.utils.set_progress_bar_global_hook(hook)
    try:
        with temporary_folders():
            train(PreviewOptions(preview_every=3))
    finally:
        comfy.utils.set_progress_bar_global_hook(before)
    assert shown[0] == (1, (SIZE[0] // 8, SIZE[1] // 8))  # the guess, a pixel for each latent cell
    assert [entry for entry in shown if entry[0] >= 3] == [(3, SIZE)]


def check_names_that_leave_the_folder_are_refused_before_training() -> None:
    with temporary_folders() as output:
        for name in ("../context", "/etc", "a/../../b", "..", "", "folder/"):
            with raises(ValueError, f"preview_name is {name!r}", FOLDER):
                train(PreviewOptions(preview_name=name))
        assert list(output.iterdir()) == []


def check_a_preview_that_cannot_be_written_does_not_end_training() -> None:
    with temporary_folders() as output:
        (output / FOLDER).write_text("a file in the folder's place")
        context, info, losses = train(PreviewOptions(preview_every=2)).args
    assert len(losses["loss"]) == SETTINGS.steps
    assert "note: no more previews from step 2 on" in info
