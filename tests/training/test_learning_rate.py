"""The learning rate means what it means in the webui, and what is malformed is named with its place."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anima_fast_train.training.learning_rate import LearningRate, Phase, parse_learning_rate

# What was written, the length of the run, and how many steps then run at which rate: the webui's own answers.
AS_IN_THE_WEBUI = [
    ("0.005", 1000, [(0.005, 1000)]),
    ("5e-3", 10, [(0.005, 10)]),
    ("5E-3", 10, [(0.005, 10)]),
    (".005", 10, [(0.005, 10)]),
    ("5.", 10, [(5.0, 10)]),
    ("+0.01", 10, [(0.01, 10)]),
    ("  0.005  ", 10, [(0.005, 10)]),
    ("1e3", 10, [(1000.0, 10)]),
    ("0.005:-1", 10, [(0.005, 10)]),
    ("0.005: -1 ", 10, [(0.005, 10)]),
    ("0.005:10", 10, [(0.005, 10)]),
    ("0.005:100", 1000, [(0.005, 100)]),
    ("0.005:2000", 1000, [(0.005, 1000)]),
    ("0.01:100, 1e-3:1000, 1e-4", 1500, [(0.01, 100), (0.001, 900), (0.0001, 500)]),
    ("0.01:100, 1e-3:1000, 1e-4:-1", 1500, [(0.01, 100), (0.001, 900), (0.0001, 500)]),
    ("0.01:100, 1e-3:1000, 1e-4:1500", 1500, [(0.01, 100), (0.001, 900), (0.0001, 500)]),
    ("0.01:100, 1e-3:1000, 1e-4:10000", 1500, [(0.01, 100), (0.001, 900), (0.0001, 500)]),
    ("0.01:100, 1e-3:1000, 1e-4", 1000, [(0.01, 100), (0.001, 900)]),
    ("0.01:100, 1e-3:1000, 1e-4", 500, [(0.01, 100), (0.001, 400)]),
    ("0.01:100, 1e-3:1000, 1e-4", 100, [(0.01, 100)]),
    ("0.01:100, 1e-3:1000, 1e-4", 60, [(0.01, 60)]),
    ("0.01:100, 1e-3:1000, 1e-4", 1, [(0.01, 1)]),
    ("0.01:100,1e-3:1000", 1500, [(0.01, 100), (0.001, 900)]),
    ("0.01:100,1e-3:1000,1e-4", 1001, [(0.01, 100), (0.001, 900), (0.0001, 1)]),
    (" 0.01 : 100 , 1e-3 : 1000 , 1e-4 ", 1500, [(0.01, 100), (0.001, 900), (0.0001, 500)]),
    ("0.01:100,\n1e-3:1000,\n1e-4", 1500, [(0.01, 100), (0.001, 900), (0.0001, 500)]),
    ("\t0.01:100\t,\t1e-4", 200, [(0.01, 100), (0.0001, 100)]),
    ("0.01:1, 0.02:2, 0.03:3", 5, [(0.01, 1), (0.02, 1), (0.03, 1)]),
    ("0.01:+5, 0.02", 8, [(0.01, 5), (0.02, 3)]),
    ("0.01:005, 0.02", 8, [(0.01, 5), (0.02, 3)]),
    ("0:100, 0.01", 200, [(0.0, 100), (0.01, 100)]),
    ("0.01:100, 0:200, 0.01", 300, [(0.01, 100), (0.0, 100), (0.01, 100)]),
    ("1e-4:100, 1e-2", 300, [(1e-4, 100), (1e-2, 200)]),
    ("0.005:100, 1e-3:1000, 1e-5:-1", 1200, [(0.005, 100), (1e-3, 900), (1e-5, 200)]),
    ("0.01:10, 0.01:20, 0.02", 30, [(0.01, 20), (0.02, 10)]),
    ("0.01:1000, 0.02", 1000, [(0.01, 1000)]),
    ("0.01:999, 0.02", 1000, [(0.01, 999), (0.02, 1)]),
    ("1.5e+1:3, 2.5E-01:-1", 5, [(15.0, 3), (0.25, 2)]),
    (
        "0.05:10, 0.02:20, 0.01:60, 0.005:200, 0.002:500, 0.001:3000, 0.0005",
        100,
        [(0.05, 10), (0.02, 10), (0.01, 40), (0.005, 40)],
    ),
    (
        "0.05:10, 0.02:20, 0.01:30, 0.005:40, 0.002:50",
        100,
        [(0.05, 10), (0.02, 10), (0.01, 10), (0.005, 10), (0.002, 10)],
    ),
]

# A step written with a point is a share of the run; the webui has no such thing.
SHARES_OF_THE_RUN = [
    ("0.01:0.5, 1e-3", 400, [(0.01, 200), (0.001, 200)]),
    ("0.01:.25, 1e-3:0.75, 1e-4:1.0", 400, [(0.01, 100), (0.001, 200), (0.0001, 100)]),
    ("0.01:0.5", 400, [(0.01, 200)]),
    ("0.01:0.5, 1e-3:-1", 3, [(0.01, 2), (0.001, 1)]),
    ("0.01:0.1, 1e-3:0.2, 1e-4", 3, [(0.001, 1), (0.0001, 2)]),
    ("0.01:100, 1e-3:0.5, 1e-4", 1000, [(0.01, 100), (0.001, 400), (0.0001, 500)]),
    ("0.01:0.5, 1e-3:800, 1e-4", 1000, [(0.01, 500), (0.001, 300), (0.0001, 200)]),
    ("0.01:1.", 50, [(0.01, 50)]),
]

# What was written, the part that is wrong, the character at which it begins, and what is said about it.
MALFORMED = [
    ("", 1, 1, "rate is missing"),
    ("   ", 1, 4, "rate is missing"),
    ("abc", 1, 1, "rate is not a number"),
    ("nan", 1, 1, "rate is not a number"),
    ("inf", 1, 1, "rate is not a number"),
    ("1e999", 1, 1, "rate is out of range"),
    ("-0.01", 1, 1, "rate is out of range"),
    ("0.01:100, -1e-3", 2, 11, "rate is out of range"),
    ("0", 1, 1, "all rates are 0"),
    ("0:100, 0.0", 1, 1, "all rates are 0"),
    ("0,01", 1, 1, "so no part can follow"),
    ("0.01:100,", 2, 10, "rate is missing"),
    ("0.01:100, ", 2, 11, "rate is missing"),
    (",0.01", 1, 1, "rate is missing"),
    ("0.01:100,,0.001", 2, 10, "rate is missing"),
    (":100", 1, 1, "rate is missing"),
    ("0.01:100, :200", 2, 11, "rate is missing"),
    ("0.01:", 1, 6, "step is missing"),
    ("0.01:, 0.001", 1, 6, "step is missing"),
    ("0.01:100, 0.001:", 2, 17, "step is missing"),
    ("0.01:x", 1, 6, "step is not a whole number"),
    ("0.01:100, 0.001: many, 0.1", 2, 18, "step is not a whole number"),
    ("0.01:1e3", 1, 6, "step is not a whole number"),
    ("0.01:50%", 1, 6, "step is not a whole number"),
    ("0.01:1_000", 1, 6, "step is not a whole number"),
    ("0.01:-2", 1, 6, "step is not a whole number"),
    ("0.01:-0.5", 1, 6, "step is not a whole number"),
    ("0.01:0", 1, 6, "step is out of range"),
    ("0.01:9999999999999999999999", 1, 6, "step is out of range"),
    ("0.01:0.0", 1, 6, "share of the run is out of range"),
    ("0.01:1.5", 1, 6, "share of the run is out of range"),
    ("0.01:100.0, 0.1", 1, 6, "share of the run is out of range"),
    ("0.01:100:200", 1, 6, "more than one colon"),
    ("0.01:100, 1e-3:100, 1e-4", 2, 16, "does not come after 100"),
    ("0.01:100, 1e-3:50, 1e-4", 2, 16, "does not come after 100"),
    ("0.01:0.5, 1e-3:0.25", 2, 16, "does not come after 0.5"),
    ("0.01:100, 1e-3:0.5, 1e-4:50", 3, 26, "does not come after 100"),
    ("0.01, 0.001", 1, 1, "so no part can follow"),
    ("0.01:100, 0.005, 0.001", 2, 11, "so no part can follow"),
    ("0.01:-1, 0.001", 1, 6, "so no part can follow"),
    ("0.01:100; 0.001:200", 1, 6, "more than one colon"),
    ("0.01 0.02", 1, 1, "rate is not a number"),
    ("1_0", 1, 1, "rate is not a number"),
    ("0x10", 1, 1, "rate is not a number"),
    ("٠.١", 1, 1, "rate is not a number"),
    ("e-3", 1, 1, "rate is not a number"),
    ("0.01:100, 1e-3 :1000, 1e-4 :", 3, 29, "step is missing"),
]


def runs(rates: tuple[float, ...]) -> list[tuple[float, int]]:
    """Equal neighbours counted: (rate, how many steps)."""
    counted: list[tuple[float, int]] = []
    for rate in rates:
        if counted and counted[-1][0] == rate:
            counted[-1] = (rate, counted[-1][1] + 1)
        else:
            counted.append((rate, 1))
    return counted


@pytest.mark.parametrize(("text", "steps", "expected"), AS_IN_THE_WEBUI + SHARES_OF_THE_RUN)
def test_each_step_has_the_rate_that_was_written(text, steps, expected):
    assert runs(parse_learning_rate(text).rates(steps)) == expected


@pytest.mark.parametrize(("text", "part", "character", "reason"), MALFORMED)
def test_what_is_malformed_is_named_with_its_part_and_place(text, part, character, reason):
    with pytest.raises(ValueError, match=rf"^learning rate part {part}, character {character}, .*{reason}") as caught:
        parse_learning_rate(text)
    assert "\n" not in str(caught.value)


@given(st.text(alphabet="0123456789.,:+-e x\n", max_size=24))
@settings(max_examples=400, deadline=None, derandomize=True)
def test_any_text_is_a_schedule_or_a_sentence(text):
    try:
        outcome = parse_learning_rate(text)
    except ValueError as error:
        outcome = str(error)
    if isinstance(outcome, str):
        assert outcome.startswith("learning rate part ")
    else:
        assert any(phase.rate > 0 for phase in outcome.phases)


@pytest.mark.parametrize("value", [0.02, 1, 1e-05, 3.3e-7])
def test_a_number_is_a_constant_rate(value):
    assert parse_learning_rate(value).rates(3) == (value, value, value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.1, 0.0])
def test_a_number_without_meaning_is_refused(value):
    with pytest.raises(ValueError, match="^learning rate part 1"):
        parse_learning_rate(value)


def test_a_share_that_ends_before_the_step_in_front_of_it_is_refused_for_that_run():
    schedule = parse_learning_rate("0.01:100, 1e-3:0.5, 1e-4")
    assert schedule.rates(300)[149:151] == (1e-3, 1e-4)
    with pytest.raises(ValueError, match="part 2 ends at step 75 of 150, before the part in front of it at step 100"):
        schedule.rates(150)


def test_linear_falls_evenly_and_never_reaches_zero():
    assert parse_learning_rate(1.0, "linear").rates(4) == (1.0, 0.75, 0.5, 0.25)


def test_cosine_falls_slowly_at_both_ends_and_never_reaches_zero():
    rates = parse_learning_rate(1.0, "cosine").rates(100)
    assert rates[0] == 1.0
    assert rates[50] == pytest.approx(0.5)
    assert 0 < rates[-1] < 0.001
    assert list(rates) == sorted(rates, reverse=True)


@pytest.mark.parametrize("shape", ["constant", "linear", "cosine"])
def test_warm_up_rises_evenly_to_the_full_rate_where_the_shape_begins(shape):
    rates = parse_learning_rate(1.0, shape, warm_up=0.2).rates(20)
    assert rates[:5] == (0.2, 0.4, 0.6, 0.8, 1.0)
    assert rates[4:] == parse_learning_rate(1.0, shape).rates(16)


def test_shape_and_warm_up_multiply_the_phases():
    rates = parse_learning_rate("1:2, 0.1:4", "linear", warm_up=0.25).rates(100)
    assert rates == pytest.approx((0.5, 1.0, 0.1 * 2 / 3, 0.1 / 3))


@pytest.mark.parametrize("change", [{"shape": "square"}, {"warm_up": 1.0}, {"warm_up": -0.1}, {"warm_up": math.nan}])
def test_a_shape_or_warm_up_without_meaning_is_refused(change):
    with pytest.raises(ValueError, match="^learning rate (shape|warm-up) is .*, expected"):
        LearningRate((Phase(0.1),), **change)
