"""Fields come back from metadata as they were, and take their default where somebody else wrote them otherwise."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anima_fast_train.training.files.tensor_file_fields import (
    from_strings,
    number,
    numbers,
    text,
    to_strings,
    whole,
    wholes,
)


@dataclass(frozen=True)
class Info:
    prompt: str = text("", 100)
    steps: int = whole(0, 0, 10**9)
    seed: int | None = whole(None, 0, 2**64 - 1)
    leak: float | None = number(None, -1e6, 1e6)
    coverage: tuple[float, ...] = numbers(4, 0, 1)
    image_size: tuple[int, ...] = wholes(2, 1, 2**16)
    private: str = field(default="kept to itself")


@given(
    st.builds(
        Info,
        prompt=st.text(st.characters(exclude_categories=["Cs"]), max_size=100),
        steps=st.integers(0, 10**9),
        seed=st.integers(0, 2**64 - 1) | st.none(),
        leak=st.floats(-1e6, 1e6) | st.none(),
        coverage=st.lists(st.floats(0, 1), max_size=4).map(tuple),
        image_size=st.lists(st.integers(1, 2**16), max_size=2).map(tuple),
    )
)
def test_fields_come_back_as_they_were(info: Info) -> None:
    strings = to_strings(info)
    assert all(type(said) is str for said in strings.values())
    assert Info(**from_strings(Info, strings)) == info
    assert "private" not in strings


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("prompt", "x" * 101),
        ("steps", ""),
        ("steps", "4 hundred"),
        ("steps", "-1"),
        ("steps", "1000000001"),
        ("steps", "3.0"),
        ("steps", "true"),
        ("steps", "1_000"),
        ("steps", "9" * 5000),
        ("steps", "[1]"),
        ("seed", "null"),
        ("seed", str(2**64)),
        ("leak", "NaN"),
        ("leak", "Infinity"),
        ("leak", "1e999"),
        ("leak", "2e6"),
        ("leak", '"1"'),
        ("coverage", "25 %"),
        ("coverage", "0.5"),
        ("coverage", "[0.5, 2]"),
        ("coverage", "[0.1, 0.1, 0.1, 0.1, 0.1]"),
        ("coverage", "[[0.1]]"),
        ("coverage", '{"a": 0.1}'),
        ("coverage", "[" * 5000),
        ("image_size", "[1e999, 512]"),
        ("image_size", "[512.5, 512]"),
        ("image_size", "[0, 512]"),
        ("image_size", "[512, 512"),
    ],
)
def test_a_field_that_does_not_follow_its_rule_takes_its_default(name: str, said: str) -> None:
    assert from_strings(Info, {name: said, "prompt": "kept"} | {name: said}) == (
        {} if name == "prompt" else {"prompt": "kept"}
    )


def test_a_whole_number_is_taken_where_a_number_is_asked_for() -> None:
    known = from_strings(Info, {"leak": "2", "coverage": "[0, 1]"})
    assert known == {"leak": 2.0, "coverage": (0.0, 1.0)}
    assert {type(value) for value in (known["leak"], *known["coverage"])} == {float}


def test_fields_that_nobody_declared_and_that_are_missing_are_left_out() -> None:
    assert from_strings(Info, {"mood": "calm", "private": "said"}) == {}


def test_half_a_character_becomes_a_question_mark() -> None:
    assert to_strings(Info(prompt="red\udc80hair"))["prompt"] == "red?hair"


def test_a_loss_that_is_not_finite_is_written_and_takes_its_default_when_read() -> None:
    assert from_strings(Info, to_strings(Info(leak=math.inf))).get("leak") is None
