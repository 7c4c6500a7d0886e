"""The evaluation measures the same grid for every run, and says 0 where the tokens change nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anima_fast_train.training import (
    EncodedReference,
    Evaluation,
    EvaluationGrid,
    TrainingSettings,
    train_context_tokens,
)
from anima_fast_train.training.evaluation import automatic_grid_size, evaluation_steps
from anima_fast_train.training.trainables.context_tokens import ContextTokens

MakeReference = Callable[..., EncodedReference]
NO_CHANGE = ContextTokens(torch.zeros(2, 3, 6))
SOME = ContextTokens(torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(3)))


def test_the_grid_does_not_depend_on_the_training_seed(tiny: Any, encoded: MakeReference) -> None:
    short = TrainingSettings(steps=2, noise_pool=16)
    one, other = (train_context_tokens(tiny, [encoded()], replace(short, seed=seed)) for seed in (0, 1))
    assert one.before == other.before
    assert one.after != other.after


def test_measuring_does_not_move_the_training(tiny: Any, encoded: MakeReference) -> None:
    short = TrainingSettings(steps=4, noise_pool=16)
    often, once = (train_context_tokens(tiny, [encoded()], replace(short, evaluations=times)) for times in (4, 1))
    assert often.history.losses == once.history.losses
    assert often.history.evaluations.keys() == {0, 1, 2, 3, 4}


def test_tokens_that_change_nothing_leak_nothing(tiny: Any, encoded: MakeReference) -> None:
    # Zero vectors take the place of zero vectors.
    grid = EvaluationGrid(tiny, [encoded()], entries=5, batch_size=2)
    assert grid.measure(NO_CHANGE.at) == replace(grid.before, supplied=0.0)
    assert grid.before.supplied is None
    assert grid.before.leak == 0
    assert grid.measure(SOME.at).leak > 0


def test_the_figures_are_those_of_the_definitions(tiny: Any, encoded: MakeReference) -> None:
    reference = encoded()
    grid = EvaluationGrid(tiny, [reference], entries=3, batch_size=2)
    (pool,) = grid._whole._pools
    inside, outside, moved, supplied = [], [], [], []
    mask = reference.latent_mask[0, 0] > 0
    for level, noise in zip(pool.level, pool.noise, strict=True):
        x_t = (1 - level) * reference.latent + level * noise
        without, prediction = (
            tiny.predict(x_t, level[None], reference.conditioning, tokens) for tokens in (None, SOME.tokens)
        )
        target = noise - reference.latent
        added, lacked = ((value - without)[0, :, mask].flatten() for value in (prediction, target))
        supplied.append(added @ lacked / (lacked @ lacked))
        error = (prediction - target).square().mean(1)[0]
        inside.append(error[mask].mean())
        outside.append(error[~mask].mean())
        moved.append((prediction - without).square().mean(1)[0][~mask].mean())
    measured = grid.measure(SOME.at)
    assert measured.inside == pytest.approx(float(sum(inside) / 3), rel=1e-5)
    assert measured.outside == pytest.approx(float(sum(outside) / 3), rel=1e-5)
    assert measured.leak == pytest.approx(float(sum(moved) / 3) / grid.before.outside, rel=1e-5)
    assert measured.supplied == pytest.approx(float(sum(supplied) / 3), rel=1e-4)


def test_what_is_carried_is_the_mean_of_the_reference_and_of_unseen_views() -> None:
    whole = Evaluation(0.5, 0.5, unseen=0.5, unseen_leak=0.0, supplied=0.3, unseen_supplied=0.1)
    assert whole.carried == pytest.approx(0.2)
    assert replace(whole, unseen_supplied=None).carried is replace(whole, supplied=None).carried is None


def test_a_white_mask_has_no_outside(tiny: Any, encoded: MakeReference) -> None:
    white = encoded(mask=torch.ones(1, 1, 6, 8))
    grid = EvaluationGrid(tiny, [white], entries=4)
    assert grid.before.inside > 0
    for measured in (grid.before, grid.measure(SOME.at)):
        assert (measured.outside, measured.leak) == (0, 0)
    assert train_context_tokens(tiny, [white], TrainingSettings(steps=2)).after.leak == 0


def test_references_count_by_their_weight(tiny: Any, encoded: MakeReference) -> None:
    bright, dark = encoded(weight=3.0), encoded(mask=1 - encoded().latent_mask)
    one, other = (EvaluationGrid(tiny, [reference], entries=64).before.inside for reference in (bright, dark))
    both = EvaluationGrid(tiny, [bright, dark], entries=64).before.inside
    assert both == pytest.approx(0.75 * one + 0.25 * other, rel=0.05)
    assert abs(one - other) > one / 2


def test_the_grid_shows_references_as_they_are(tiny: Any, encoded: MakeReference) -> None:
    plain = encoded()
    (view,) = plain.shown_as
    varied = replace(plain, augmented=(view, replace(view, conditioning=tiny.encode_prompt("xyz"))))
    assert EvaluationGrid(tiny, [varied], 4).before == EvaluationGrid(tiny, [plain], 4).before


def test_batch_size_is_only_a_matter_of_memory(tiny: Any, encoded: MakeReference) -> None:
    whole, single = (EvaluationGrid(tiny, [encoded()], entries=7, batch_size=size).measure(SOME.at) for size in (7, 1))
    assert isinstance(whole, Evaluation)
    assert (whole.inside, whole.outside, whole.leak) == pytest.approx(
        (single.inside, single.outside, single.leak), rel=1e-5
    )


@given(steps=st.integers(1, 5000), evaluations=st.integers(1, 50))
def test_the_last_evaluation_is_after_the_last_step(steps: int, evaluations: int) -> None:
    due = evaluation_steps(steps, evaluations)
    assert max(due) == steps
    assert min(due) >= 1
    assert len(due) == evaluations or steps < 2 * evaluations


@given(rows=st.integers(1, 100_000), evaluations=st.integers(1, 20))
def test_evaluations_cost_less_than_a_tenth_of_a_run_that_is_not_tiny(rows: int, evaluations: int) -> None:
    entries = automatic_grid_size(rows, evaluations)
    assert 4 <= entries <= 32
    if rows >= 25 * (evaluations + 1):
        assert entries * (evaluations + 1) <= 0.1 * 2 * rows * 1.15
