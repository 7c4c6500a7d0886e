"""The UNet's pretraining may be stopped at any moment, and ends in the same weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from anima_fast_train.training.epsilon.backbone import EpsilonBackbone
from anima_fast_train.training.epsilon.pretrain import UNetSettings, pretrain, save_weights_so_far
from anima_fast_train.training.epsilon.unet import UNetSize
from anima_fast_train.training.miniature.backbone import TIMESTEP_SCALE, MiniatureBackbone

SIZE = UNetSize(model_channels=32, channel_mult=(1, 1))
TINY = UNetSettings(
    pictures=12,
    cycles=(5,),
    batch_size=2,
    lesson=4,
    passes=1,
    warmup=2,
    size=SIZE,
    report_every=1,
    checkpoint_every=2,
)


class Stopped(Exception):
    """The run was ended from outside."""


def run(folder: Path, settings: UNetSettings = TINY, stop: tuple[str, int] | None = None) -> Path:
    def report(stage: str, step: int, steps: int, loss: float) -> None:
        if (stage, step) == stop:
            raise Stopped

    weights = folder / "weights.safetensors"
    pretrain(weights, folder / "checkpoints", settings, report)
    return weights


def test_an_interrupted_run_goes_on_to_the_bit(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = load_file(run(tmp_path / "whole"))
    for stop in (("draw", 0), ("unet", 0), ("unet", 3)):
        with pytest.raises(Stopped):
            run(tmp_path / "parts", stop=stop)
    parts = load_file(run(tmp_path / "parts"))
    assert parts.keys() == whole.keys()
    assert all(torch.equal(parts[name], whole[name]) for name in whole)


def test_weights_of_a_run_under_way_load_with_their_size(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(tmp_path, stop=("unet", 4))
    early = tmp_path / "early.safetensors"
    assert save_weights_so_far(early, tmp_path / "checkpoints", TINY) == 4
    assert EpsilonBackbone(early).unet.size == SIZE
    with pytest.raises(ValueError, match="batch_size 2, not 3"):
        run(tmp_path, replace(TINY, batch_size=3))


@torch.no_grad()
def test_it_learns_what_the_miniature_says(tmp_path: Path) -> None:
    """The teacher's picture at a noise level is the one that the student is to see at it."""
    from anima_fast_train.training.epsilon.unet_training import UNetTraining
    from anima_fast_train.training.miniature.pretraining_pictures import plan_captions

    latents = torch.randn(12, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    stage = UNetTraining(latents, plan_captions(TINY), TINY)
    lesson = stage._lesson_of(0)
    shares = stage._shares[lesson.timestep][:, None, None, None]
    student = (lesson.x_t - (1 - shares).sqrt() * lesson.noise) / shares.sqrt()
    total = shares.sqrt() + (1 - shares).sqrt()
    sigma = (1 - shares).sqrt() / total
    miniature = MiniatureBackbone()
    velocity = miniature.transformer(lesson.x_t / total, sigma.flatten() * TIMESTEP_SCALE, lesson.prompts)
    teacher = lesson.x_t / total - sigma * velocity
    assert float((student - teacher).norm() / teacher.norm()) < 0.05  # the teacher computes in bfloat16
