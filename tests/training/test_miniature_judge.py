"""The judge reads what is drawn; likeness compares its reading with a character, a pose and a background."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy
import pytest
import torch
from perfect_judge import perfect
from safetensors.torch import load_file
from torch import Tensor

from anima_fast_train.training.miniature import likeness, scene
from anima_fast_train.training.miniature.autoencoder import Autoencoder
from anima_fast_train.training.miniature.backbone import MiniatureBackbone
from anima_fast_train.training.miniature.judge import COLOURS, PLACE, WORDS, Judge, oklab
from anima_fast_train.training.miniature.judge_accuracy import accuracy, agrees, table
from anima_fast_train.training.miniature.judge_examples import draw_any_character, draw_examples, draw_judged, truth
from anima_fast_train.training.miniature.judge_training import (
    JudgeSettings,
    JudgeTraining,
    degrade,
    loss_of,
    pretrain_judge,
)
from anima_fast_train.training.miniature.palette import RGB

TINY = JudgeSettings(pictures=8, steps=4, batch_size=4)


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ((255, 255, 255), (1, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((255, 0, 0), (0.628, 0.225, 0.126)),
        ((0, 0, 255), (0.452, -0.032, -0.312)),
    ],
)
def test_oklab_has_its_published_values(colour: RGB, expected: tuple[float, ...]) -> None:
    torch.testing.assert_close(
        oklab(torch.tensor(colour) / 255), torch.tensor(expected, dtype=torch.float32), atol=1e-3, rtol=0
    )


def test_a_character_agrees_with_itself_and_not_with_others() -> None:
    for seed in range(10):
        drawn = scene.draw_reference(seed)
        (person,) = drawn.people
        reading = perfect(drawn)
        assert likeness.identity_distance(reading, person.who).item() == pytest.approx(0, abs=1e-5)
        others = likeness.decoys(person.who, 20, seed)
        assert likeness.is_nearest(reading, person.who, others).all()
        assert all(likeness.identity_distance(reading, other).item() > 0.1 for other in others)
        assert not likeness.is_nearest(reading, others[0], [person.who]).any()


def test_agreement_names_what_differs() -> None:
    drawn = scene.draw_reference(3)
    (person,) = drawn.people
    reading = perfect(drawn)
    other = replace(person.who, hair=tuple(255 - channel for channel in person.who.hair), outfit="none of these")  # type: ignore[arg-type]
    assert likeness.colour_agreement(reading, other)["hair"] == 0
    assert likeness.colour_agreement(reading, other)["clothes"] == 1
    with pytest.raises(ValueError, match="not in tuple"):
        likeness.parts_agreement(reading, other)
    pose = replace(person.pose, arms="waving" if person.pose.arms != "waving" else "arms up")
    agreement = likeness.pose_agreement(reading, pose)
    assert agreement["arms"] == 0
    assert all(agreement[part] == 1 for part in ("head", "body", "framing", "expression"))
    assert all(value == 1 for value in likeness.backdrop_agreement(reading, drawn.backdrop).values())


def test_the_truth_of_two_people_is_left_then_right_and_an_empty_scene_has_none() -> None:
    scenes = [draw_judged(seed) for seed in range(60)]
    pair = next(drawn for drawn in scenes if len(drawn.people) == 2)
    left, right = sorted(pair.people, key=lambda person: person.pose.x)
    assert truth(pair)["hair"] == [left.who.hair, right.who.hair]
    reading = perfect(pair)
    assert likeness.identity_distance(reading.person(1), right.who).item() == pytest.approx(0, abs=1e-5)
    assert reading.person(0).best("arms")[0] == left.pose.arms or left.pose.framing == "portrait"
    empty = next(drawn for drawn in scenes if not drawn.people)
    assert truth(empty)["hairstyle"] == [-1, -1]
    assert truth(empty)["count"] == [0, 0]


def test_the_judge_sees_what_the_miniature_never_drew_on_anybody() -> None:
    people = [draw_any_character(random.Random(seed)) for seed in range(200)]
    assert {who.accessory for who in people} >= {"star", "crescent", "horns", "crown", "none", "bow"}
    assert any(who.hair[1] > max(who.hair[0], who.hair[2]) + 60 for who in people), "lime or green hair"


def test_an_interrupted_training_goes_on_to_the_bit(tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def stop(name: str, step: int, steps: int, loss: float) -> None:
        if (name, step) == ("judge", 3):
            raise Stopped

    codec = Autoencoder().eval()
    pretrain_judge(tmp_path / "whole.safetensors", tmp_path / "whole", codec, TINY, lambda *_: None, 1, 2)
    with pytest.raises(Stopped):
        pretrain_judge(tmp_path / "parts.safetensors", tmp_path / "parts", codec, TINY, stop, 1, 2)
    judge = pretrain_judge(tmp_path / "parts.safetensors", tmp_path / "parts", codec, TINY, lambda *_: None, 1, 2)
    whole, parts = (load_file(tmp_path / f"{name}.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(parts[name], whole[name]) for name in whole)
    assert (tmp_path / "parts.safetensors").stat().st_size <= 1_000_000
    assert set(accuracy(judge, 20)) == {*WORDS, *(f"{name} colour" for name in COLOURS), PLACE}
    reading = judge.read(torch.zeros(3, 128, 128, 3))
    assert len(reading.best("arms")) == len(reading.best("pattern")) == 3
    with pytest.raises(ValueError, match=r"\[B,128,128,3\], not \[3, 64, 64, 3\]"):
        judge.read(torch.zeros(3, 64, 64, 3))


def test_a_perfect_reading_agrees_with_every_caption() -> None:
    lone = [drawn for drawn in map(scene.draw_scene, range(12)) if len(drawn.people) == 1]
    for drawn in lone:
        (person,) = drawn.people
        found = agrees(perfect(drawn), 0, person, drawn.backdrop)
        assert all(found.values()), found
        assert ("arms" in found) == (person.pose.framing != "portrait")
        assert ("accessory" in found) == (person.who.accessory != "none")
        wrong = agrees(perfect(lone[lone.index(drawn) - 1]), 0, person, drawn.backdrop)
        assert not all(wrong.values())


def test_the_table_says_how_well_everything_is_read(miniature: MiniatureBackbone) -> None:
    printed = table(Judge().eval(), miniature, 4, 2)
    rows = {line.split(" | ")[0].removeprefix("| ") for line in printed.splitlines()[2:]}
    assert rows == {*WORDS, *(f"{name} colour" for name in COLOURS), PLACE}
    assert "nan" not in printed


def test_a_few_steps_lower_the_loss() -> None:
    pictures, truths = draw_examples(range(8))
    stage = JudgeTraining(pictures, truths, Autoencoder().eval(), replace(TINY, steps=1000, batch_size=8, degraded=0))
    losses = [stage.step(number) for number in range(12)]
    assert losses[-1] < 0.8 * losses[0]


def test_what_cannot_be_seen_does_not_move_the_loss() -> None:
    _, truths = draw_examples(range(30))
    outputs = {name: torch.zeros(30, 2, len(listed)) for name, listed in WORDS.items()} | {
        name: torch.zeros(30, 2, 3) for name in (*COLOURS, PLACE)
    }
    before = loss_of(outputs, truths)
    nobody = (truths["hairstyle"] < 0).unsqueeze(-1)
    assert nobody.any()
    changed = {
        name: torch.where(nobody, 5.0, value) if name in (*COLOURS, PLACE, "arms") else value
        for name, value in outputs.items()
    }
    torch.testing.assert_close(loss_of(changed, truths), before)


def test_degraded_pictures_stay_pictures_and_the_others_stay_as_they_are() -> None:
    codec, generator = Autoencoder().eval(), torch.Generator().manual_seed(1)
    pictures = (
        torch.from_numpy(numpy.array(draw_judged(1).picture)).permute(2, 0, 1)[None].repeat(6, 1, 1, 1) / 127.5 - 1
    )
    changed: Tensor = degrade(pictures, codec, 0.5, generator)
    same = (changed == pictures).flatten(1).all(1)
    assert 0 < same.sum() < 6
    assert changed.abs().max() <= 1
    assert torch.equal(degrade(pictures, codec, 0.0, generator), pictures)
