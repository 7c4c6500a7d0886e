"""The measurements of the README, cut short: they write their rows, print their table and compare what they say they
compare."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy
import pytest
import torch

from anima_fast_train.training.command_line import main
from anima_fast_train.training.measurements import (
    compare,
    compare_estimates,
    compare_steps,
    compare_verdicts,
    equal_time,
)
from anima_fast_train.training.measurements.carry_trainings import Recipe
from anima_fast_train.training.measurements.sample_distance import distance_to
from anima_fast_train.training.miniature.scene import draw_elsewhere, draw_reference, reference_character
from anima_fast_train.training.references.augmentation import ImageAugmentation
from anima_fast_train.training.settings import TrainingSettings

QUICK = TrainingSettings(steps=2, evaluations=2, batch_size=1, num_tokens=2)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["anima-fast-train", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert not stopped.value.code


def test_compare_measures_each_variant_on_its_reference_and_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    crops = compare.Variant(QUICK, ImageAugmentation(random_crop=0.3))
    monkeypatch.setattr(compare, "VARIANTS", {"plain": compare.Variant(QUICK), "crops": crops})
    monkeypatch.setattr(compare, "GRID_ENTRIES", 2)
    run(monkeypatch, "compare", "--seeds", 1, "--output", tmp_path)
    plain, varied = json.loads((tmp_path / "compare.json").read_text())
    assert plain["inside_before"] == varied["inside_before"]
    assert plain["elsewhere"] != varied["elsewhere"]
    assert 0.5 < plain["elsewhere"] < 1.5
    printed = capsys.readouterr().out
    assert "| plain |" in printed
    assert "| crops |" in printed


def test_elsewhere_shows_the_same_character_in_another_place() -> None:
    here, there, further = draw_reference(100), draw_elsewhere(100, 0), draw_elsewhere(100, 1)
    hair = numpy.array(reference_character(100).hair)
    for scene in (here, there, further):
        pixels = numpy.array(scene.picture).reshape(-1, 3)
        assert (abs(pixels - hair).max(axis=1) < 12).sum() > 50
    assert len({scene.mask.tobytes() for scene in (here, there, further)}) == 3
    assert there.prompt != further.prompt


def test_compare_steps_gives_each_character_words_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    quick = {"plain": QUICK, "words": replace(QUICK, init_text=compare_steps.WORDS)}
    monkeypatch.setattr(compare_steps, "VARIANTS", quick)
    run(monkeypatch, "compare-steps", "--seeds", 1, "--output", tmp_path)
    assert len(json.loads((tmp_path / "compare-steps.json").read_text())) == 2
    assert "| words |" in capsys.readouterr().out
    assert len({compare_steps.words_for(reference_character(seed)) for seed in range(100, 110)}) > 5


def test_compare_negative_gives_both_trainings_the_same_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    seconds = iter([1.0, 2.0])  # of the two pilots: a guided step is two forward passes
    actual = equal_time.train_timed
    monkeypatch.setattr(equal_time, "train_timed", lambda *run: (next(seconds), actual(*run)[1]))
    monkeypatch.setattr(equal_time, "PILOT_STEPS", 2)
    run(monkeypatch, "compare-negative", "--seeds", 1, "--steps", 6, "--output", tmp_path)
    positive, both = json.loads((tmp_path / "compare-negative.json").read_text())
    assert (positive["steps"], both["steps"]) == (6, 3)
    assert (positive["training"], both["training"]) == ("positive only", "positive and negative")
    assert positive["distance_without"] == both["distance_without"]
    assert "of 1 references" in capsys.readouterr().out


def test_the_distance_counts_the_mask_alone() -> None:
    scene = draw_reference(100)
    exact = torch.from_numpy(numpy.array(scene.picture)).float()[None] / 255
    outside = torch.from_numpy(numpy.array(scene.mask) == 0)
    changed = exact.clone()
    changed[:, outside] = 1 - changed[:, outside]
    assert distance_to(scene, changed) == 0
    assert distance_to(scene, 1 - exact) > 0.05


def test_compare_verdicts_says_what_came_of_each_case(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    cases = {"short": Recipe(QUICK), "wild": compare_verdicts.CASES["far too high a rate"]}
    monkeypatch.setattr(compare_verdicts, "CASES", cases)
    run(monkeypatch, "compare-verdicts", "--seeds", 1, "--sampling-steps", 1, "--output", tmp_path)
    printed = capsys.readouterr().out
    assert "| wild | diverged (1) | - | - | - |" in printed
    assert re.search(r"\| short \| carries little \(1\) \| 0\.\d\d \| -?\d\.\d\d / ", printed)


def test_compare_estimates_ranks_runs_by_their_own_views_and_by_samples(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    whole = ImageAugmentation(cut_paste=0.0)
    monkeypatch.setattr(compare_estimates, "REFERENCES", 1)
    monkeypatch.setattr(
        compare_estimates, "draw_recipe", lambda number: Recipe(replace(QUICK, steps=1 + 5 * number), whole)
    )
    run(monkeypatch, "compare-estimates", "--runs", 3, "--processes", 1, "--sampling-steps", 1, "--output", tmp_path)
    rows = json.loads((tmp_path / "compare-estimates.json").read_text())
    assert [(row["reference"], row["number"]) for row in rows] == [(800, 0), (800, 1), (800, 2)]
    assert len({row["carried"] for row in rows}) == len({row["moved"] for row in rows}) == 3, (
        "a training that was never shown elsewhere is judged elsewhere as well"
    )
    assert "| carried, identity | " in capsys.readouterr().out


def test_settings_of_estimates_are_drawn_by_number_and_differ_widely() -> None:
    recipes = [compare_estimates.draw_recipe(number) for number in range(60)]
    assert recipes == [compare_estimates.draw_recipe(number) for number in range(60)]
    assert (
        min(recipe.settings.steps for recipe in recipes) < 20 < 200 < max(recipe.settings.steps for recipe in recipes)
    )
    assert {recipe.images.cut_paste for recipe in recipes} == {0.0, 0.5, 0.75, 1.0}
    assert {recipe.pictures for recipe in recipes} == {1, 6}


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([(1, 10), (2, 100), (3, 1000)], 1.0),
        ([(1, 3), (2, 2), (3, 1)], -1.0),
        ([(1, 1), (2, 2), (3, 4), (4, 3)], 0.8),
        ([(1, 1), (1, 2), (2, 3), (2, 4)], 0.8944),
    ],
)
def test_rank_correlation(pairs: list[tuple[float, float]], expected: float) -> None:
    assert compare_estimates.spearman(pairs) == pytest.approx(expected, abs=1e-4)
