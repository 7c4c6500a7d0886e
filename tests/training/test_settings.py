"""Settings that make no sense are refused before anything runs, in a sentence that names the setting."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from anima_fast_train.training import TrainingSettings

DEFAULTS = TrainingSettings()


def test_the_defaults_make_sense() -> None:
    assert DEFAULTS.validate() is DEFAULTS
    assert DEFAULTS.prior_weight > 0, "prior preservation is on by default"
    assert len(DEFAULTS.schedule().rates(DEFAULTS.steps)) == DEFAULTS.steps


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        *(
            (name, value, "1 or more")
            for name in ("steps", "num_tokens", "batch_size", "gradient_accumulation", "evaluations")
            for value in (0, -3)
        ),
        *(
            (name, -0.5, "0 or more")
            for name in ("init_std", "weight_decay", "clip_norm", "clip_value", "prior_weight", "timestep_shift")
        ),
        *(
            (name, math.nan, "0 or more")
            for name in ("init_std", "weight_decay", "clip_norm", "prior_weight", "guidance")
        ),
        *((name, 1e308, "0 or more, at most") for name in ("init_std", "weight_decay", "clip_norm", "clip_value")),
        *((name, 10**9, "1 or more, at most") for name in ("steps", "num_tokens", "batch_size")),
        *((name, 10**9, "0 or more, at most") for name in ("noise_pool", "negative_tokens", "time_ranges")),
        *((name, math.inf, "0 or more") for name in ("init_std", "prior_weight", "timestep_shift")),
        *((name, -1, "0 or more") for name in ("noise_pool", "negative_tokens", "time_ranges", "patience")),
        *(("unmasked_weight", value, "0 to 1") for value in (-0.1, 1.1, math.nan)),
        *(("ema", value, r"0 \(off\) to below 1") for value in (-0.1, 1.0, math.nan)),
        *(("seed", value, "0 to 18446744073709551615") for value in (-1, 2**64)),
        ("learning_rate", "0.1:0.0005", "one step or more"),
        ("learning_rate", "1e7", r"at most 1e\+06"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(name: str, value: Any, expected: str) -> None:
    shown = {"guidance": "cfg"}.get(name, name)  # by the name that the user knows
    with pytest.raises(ValueError, match=f"{shown} is .*, expected {expected}") as caught:
        replace(DEFAULTS, **{name: value}).validate()
    assert str(value) in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"learning_rate": "fast"}, "learning rate part 1, character 1, 'fast'"),
        ({"learning_rate": "0"}, "all rates are 0"),
        ({"learning_rate": "-0.1"}, "out of range"),
        ({"rate_shape": "square"}, "rate_shape is 'square', expected one of: constant, linear, cosine"),
        ({"warm_up": 1.0}, "warm_up is 1.0, expected 0 to below 1"),
    ],
)
def test_a_schedule_that_cannot_be_read_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(DEFAULTS, **changes).validate()


def test_borders_are_allowed() -> None:
    replace(
        DEFAULTS, steps=1, num_tokens=1, batch_size=1, init_std=0.0, unmasked_weight=1.0, seed=2**64 - 1, ema=0.999
    ).validate()
    replace(DEFAULTS, unmasked_weight=0.0, prior_weight=0.0, evaluations=1, learning_rate="0.1:1").validate()


def test_timesteps_take_the_models_own_shift_unless_told() -> None:
    assert DEFAULTS.level_distribution(3.0).shift == 3.0
    assert replace(DEFAULTS, timestep_shift=1.5).level_distribution(3.0).shift == 1.5
