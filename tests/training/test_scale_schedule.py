"""A schedule of scales as an artist writes it, over percents and over a model's sigmas."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anima_fast_train.training.trainables.scale_schedule import parse_scale_schedule


@pytest.mark.parametrize(
    ("text", "percent", "scale"),
    [
        ("0:1", 0.7, 1.0),
        ("0:0, 1:1", 0.25, 0.25),
        ("0.2:0.5, 0.6:1.5", 0.1, 0.5),
        ("0.2:0.5, 0.6:1.5", 0.4, 1.0),
        ("0.2:0.5, 0.6:1.5", 0.9, 1.5),
        ("0:1, 0.6:1, 0.6:0", 0.599, 1.0),
        ("0:1, 0.6:1, 0.6:0", 0.6, 0.0),
        (" 0 : 1 ,\t.5:.25 ", 0.5, 0.25),
    ],
)
def test_the_scale_lies_on_the_line_between_points(text: str, percent: float, scale: float) -> None:
    assert parse_scale_schedule(text, 3.0).at(percent) == pytest.approx(scale)


def shifted(percent: float, shift: float = 3.0) -> float:
    """As ComfyUI's ModelSamplingDiscreteFlow spaces sigmas."""
    level = 1 - percent
    return shift * level / (1 + (shift - 1) * level)


@given(st.floats(0, 1), st.floats(1, 5))
def test_over_sigmas_the_scale_is_that_of_the_percent(percent: float, shift: float) -> None:
    schedule = parse_scale_schedule("0.1:0.2, 0.5:2, 0.7:0.3", 3.0)
    curve = schedule.by_sigma(lambda each: shifted(each, shift))
    assert curve.at(shifted(percent, shift)) == pytest.approx(schedule.at(percent), abs=0.02)


def test_a_jump_stays_a_jump_over_sigmas() -> None:
    curve = parse_scale_schedule("0:1, 0.6:1, 0.6:0, 0.8:0, 0.8:2", 3.0).by_sigma(shifted)
    around = [curve.at(shifted(percent)) for percent in (0.5999, 0.6, 0.6001, 0.7999, 0.8, 0.9)]
    assert around == [1, 0, 0, 0, 2, 2]
    assert curve.at(2.0) == 1 and curve.at(-1.0) == 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "scale schedule: point 1 is '', expected a percent and a scale such as 0.6:1"),
        ("0:1,", "point 2 is '', expected a percent and a scale"),
        ("0:1; 1:0", "point 1 is '0:1; 1:0', expected a percent and a scale"),
        ("0:-1", "point 1 is '0:-1', expected a percent and a scale"),
        ("60:1", "point 1 is '60:1', expected a percent of sampling from 0 to 1"),
        ("0:1, 1:4", "point 2 is '1:4', expected a scale from 0 to 3"),
        ("0.5:1, 0.2:1", "point 2 is '0.2:1', expected a percent from 0.5 on"),
        ("0:1, 0:2, 0:3", "point 3 is '0:3', expected a percent at most twice"),
        ("0:1," * 600, "scale schedule has 2,400 characters, expected at most 2,000"),
    ],
)
def test_what_is_no_schedule_is_named(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        parse_scale_schedule(text, 3.0)
