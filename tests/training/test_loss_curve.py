"""The live curve follows the loss, and stays a short message however long the run."""

from __future__ import annotations

import math

import pytest

from anima_fast_train.training.reports.loss_curve import LossCurve
from anima_fast_train.training.reports.loss_plot import smoothed


@pytest.mark.parametrize("steps", [1, 2, 127, 128, 129, 300, 5000])
def test_the_curve_is_short_and_ends_at_the_last_step(steps: int) -> None:
    curve, losses = LossCurve(), [1 / step for step in range(1, steps + 1)]
    for step, loss in enumerate(losses, start=1):
        curve.add(step, loss)
    at = [step for step, _ in curve.points()]
    assert at == sorted(set(at))
    assert (at[0], at[-1]) == (1, steps)
    assert len(at) <= 129
    assert len(at) >= min(steps, 64)
    expected = smoothed(losses)
    assert [value for _, value in curve.points()] == [expected[step - 1] for step in at]


def test_gaps_between_points_are_even_up_to_the_last() -> None:
    curve = LossCurve(most_points=8)
    for step in range(1, 100):
        curve.add(step, 1.0)
    at = [step for step, _ in curve.points()]
    assert len({later - earlier for earlier, later in zip(at[1:-2], at[2:-1], strict=True)}) == 1


def test_steps_without_a_finite_loss_are_left_out_until_there_is_one() -> None:
    curve = LossCurve()
    for step, loss in enumerate((math.nan, math.inf, 2.0, math.nan), start=1):
        curve.add(step, loss)
    assert curve.points() == [(3, 2.0), (4, 2.0)]
