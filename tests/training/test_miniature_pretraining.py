"""Pretraining may be stopped at any moment: what was interrupted ends in the same weights as what was not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from anima_fast_train.training.miniature.architecture import TransformerSize
from anima_fast_train.training.miniature.backbone import MiniatureBackbone
from anima_fast_train.training.miniature.pretrain import PretrainingSettings, pretrain, save_weights_so_far
from anima_fast_train.training.miniature.pretraining_pictures import (
    plan_captions,
    shuffled_rows,
    step_generator,
    tag_numbers,
)
from anima_fast_train.training.miniature.scene import draw_scene, vocabulary
from anima_fast_train.training.miniature.transformer_training import rate_at

SIZE = TransformerSize(model_channels=48, num_blocks=2, num_heads=2, crossattn_emb_channels=12, adaln_lora_dim=4)
TINY = PretrainingSettings(
    pictures=10,
    codec_steps=5,
    codec_batch=2,
    cycles=(4, 2),
    batch_size=3,
    warmup=2,
    size=SIZE,
    report_every=1,
    checkpoint_every=2,
)


class Stopped(Exception):
    """The run was ended from outside."""


def stop_at(stage: str, step: int) -> object:
    def report(name: str, number: int, steps: int, loss: float) -> None:
        if (name, number) == (stage, step):
            raise Stopped

    return report


def run(folder: Path, settings: PretrainingSettings = TINY, report: object = None) -> Path:
    weights = folder / "weights.safetensors"
    pretrain(weights, folder / "checkpoints", settings, report or (lambda *_: None))  # type: ignore[arg-type]
    return weights


def test_an_interrupted_run_goes_on_to_the_bit(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = load_file(run(tmp_path / "whole"))
    for stage, step in (("draw", 0), ("codec", 3), ("transformer", 0), ("transformer", 3), ("transformer", 4)):
        with pytest.raises(Stopped):
            run(tmp_path / "parts", report=stop_at(stage, step))
    parts = load_file(run(tmp_path / "parts"))
    assert parts.keys() == whole.keys()
    assert all(torch.equal(parts[name], whole[name]) for name in whole)
    checkpoints = (
        torch.load(tmp_path / name / "checkpoints" / "transformer.pt", weights_only=True) for name in ("whole", "parts")
    )
    one, other = (checkpoint["state"]["average"] for checkpoint in checkpoints)
    assert all(torch.equal(other[name], one[name]) for name in one), (
        "also the digits that the weights' file rounds away"
    )
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_finished_run_trains_no_further_step(tmp_path: Path) -> None:
    run(tmp_path)
    steps: list[str] = []
    run(tmp_path, report=lambda name, *_: steps.append(name))
    assert not steps


def test_checkpoints_of_other_settings_are_refused_and_left_alone(tmp_path: Path) -> None:
    run(tmp_path)
    before = (tmp_path / "checkpoints" / "transformer.pt").read_bytes()
    with pytest.raises(ValueError, match="learning_rate 0.002, not 0.5"):
        run(tmp_path, replace(TINY, learning_rate=0.5))
    assert (tmp_path / "checkpoints" / "transformer.pt").read_bytes() == before


def test_weights_of_a_run_under_way_load_with_their_vocabulary(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(tmp_path, report=stop_at("transformer", 4))
    early = tmp_path / "early.safetensors"
    assert save_weights_so_far(early, tmp_path / "checkpoints", TINY) == 4
    backbone = MiniatureBackbone(early)
    assert list(backbone.tags.index) == vocabulary()
    assert backbone.transformer.size == SIZE


def test_every_cycle_warms_up_and_decays_as_a_run_of_its_own() -> None:
    def rates(*cycles: int) -> list[float]:
        settings = PretrainingSettings(cycles=cycles, warmup=2, decay_share=0.5)
        return [rate_at(step, settings) for step in range(settings.steps)]

    assert rates(10, 20) == rates(10) + rates(20)
    assert rates(10)[:3] == [0.5, 1.0, 1.0] and rates(10)[-1] == pytest.approx(0.2)


def test_captions_are_those_of_the_pictures_and_drop_whole_identities() -> None:
    settings = PretrainingSettings(pictures=40, caption_dropout=0, tag_dropout=0, identity_dropout=0)
    captions, index = plan_captions(settings), {tag: number for number, tag in enumerate(vocabulary())}
    numbers = tag_numbers(captions, index, settings, torch.Generator())
    without = tag_numbers(captions, index, replace(settings, identity_dropout=1.0), torch.Generator())
    tags = list(index)
    for seed, (row, bare) in enumerate(zip(numbers, without, strict=True)):
        scene = draw_scene(seed)
        assert [tags[n] for n in row if n >= 0] == [*scene.other_tags, *scene.identity_tags]
        assert [tags[n] for n in bare if n >= 0] == list(scene.other_tags)


def test_every_epoch_shows_each_picture_once() -> None:
    first, second = (torch.cat([shuffled_rows(9, 3, 0, epoch * 3 + step) for step in range(3)]) for epoch in range(2))
    assert first.sort().values.equal(torch.arange(9))
    assert second.sort().values.equal(torch.arange(9))
    assert not first.equal(second)
    assert step_generator(0, "codec", 1).initial_seed() != step_generator(0, "transformer", 1).initial_seed()
