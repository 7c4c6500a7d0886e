"""Whatever comes as a setting is taken, or refused with one sentence that can be shown anywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anima_fast_train.declared import LONGEST_SENTENCE, check, setting, settings_of
from anima_fast_train.masking.collage import CollageLayout
from anima_fast_train.masking.framing import Framing
from anima_fast_train.masking.shape import MaskShape
from anima_fast_train.training.references.augmentation import ImageAugmentation
from anima_fast_train.training.references.caption import CaptionOptions
from anima_fast_train.training.run_options import CheckpointSettings, PreviewSettings, RunOptions
from anima_fast_train.training.settings import TrainingSettings

GROUPS = (
    TrainingSettings,
    Framing,
    MaskShape,
    CollageLayout,
    CaptionOptions,
    ImageAugmentation,
    RunOptions,
    CheckpointSettings,
    PreviewSettings,
)
EDGES = st.one_of(
    st.sampled_from(
        [
            *(0, 1, -1, 2, 0.0, -0.0, 0.5, 1.0, 10**9, -(10**9), 2**64, 10**400, -(10**5000), 1e308, -1e308),
            *(math.nan, math.inf, -math.inf, 5e-324, True, False, None, "", "0", "nan", "\x00\n\x1b[31m", "\ud800"),
            *(
                "0.1:" * 500,
                "ж" * 100_000,
                "0" * 100_000,
                ":",
                "1e999",
                "0.1:99999999999999999999",
                b"x",
                [],
                {},
                object(),
            ),
        ]
    ),
    st.integers(),
    st.floats(),
    st.text(max_size=400),
)


@given(st.data())
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
def test_settings_at_the_edge_are_taken_or_refused_in_one_sentence(data: st.DataObject) -> None:
    group = data.draw(st.sampled_from(GROUPS))
    names = [each.field for each in settings_of(group)]
    changes = data.draw(st.dictionaries(st.sampled_from(names), EDGES, min_size=1, max_size=3))
    try:
        made = group(**changes)
        made.validate() if isinstance(made, TrainingSettings) else check(made)
    except ValueError as error:
        sentence = str(error)
        assert sentence.isprintable() and 0 < len(sentence) <= LONGEST_SENTENCE, repr(sentence)
    else:
        for name, value in changes.items():
            declared = next(each for each in settings_of(group) if each.field == name)
            assert isinstance(value, bool) == (declared.kind is bool)
            if declared.kind in (int, float):
                assert math.isfinite(value) and declared.least <= value <= declared.most


@pytest.mark.parametrize("group", GROUPS)
def test_every_default_is_accepted_and_every_number_has_two_ends(group: Any) -> None:
    check(group())
    for each in settings_of(group):
        if each.kind in (int, float):
            for end in (each.least, each.most):
                if not (each.below and end == each.most):
                    check(replace(group(), **{each.field: each.kind(end)}))
            for beyond in (each.least - 1, each.most + 1, each.most * 2, 1e308, math.nan, math.inf):
                with pytest.raises(ValueError, match=f"{each.public_id} is .*, expected "):
                    check(replace(group(), **{each.field: beyond}))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"steps": "5"}, "steps is '5', expected a whole number, 1 or more, at most 100000"),
        ({"steps": True}, "steps is True, expected a whole number, 1 or more, at most 100000"),
        ({"steps": 5.0}, "steps is 5.0, expected a whole number, 1 or more, at most 100000"),
        ({"steps": 10**400}, "steps is 1e400 or so, expected 1 or more, at most 100000"),
        ({"guidance": None}, "cfg is None, expected a number, 0 or more, at most 1000"),
        ({"per_block": 1}, "per_block is 1, expected true or false"),
        ({"init_text": 3}, "init_text is 3, expected text"),
        ({"ema": 1.0}, "ema is 1.0, expected 0 (off) to below 1"),
        ({"emphasis_weight": 0.5}, "attention_weight is 0.5, expected 1 (off) to 100"),
        (
            {"timestep_sampling": "sometimes"},
            "timestep_sampling is 'sometimes', expected one of: logit_normal, uniform",
        ),
        ({"seed": -1}, "seed is -1, expected 0 to 18446744073709551615"),
        ({"prior_weight": []}, "prior_weight is a list, expected a number, 0 or more, at most 10000"),
    ],
)
def test_the_sentence_names_the_input_what_came_and_what_was_expected(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        TrainingSettings(**changes).validate()
    assert str(caught.value) == sentence


def test_a_long_text_is_shown_by_its_beginning_and_its_length() -> None:
    with pytest.raises(ValueError, match=r"init_text is 'aaa.*… \(20000 characters\), expected text of at most 10000"):
        TrainingSettings(init_text="a" * 20_000).validate()
    with pytest.raises(
        ValueError, match="learning rate part 1, character 1, 'x.*: the rate is not a number$"
    ) as caught:
        TrainingSettings(learning_rate="x" * 1000).validate()
    assert len(str(caught.value)) <= LONGEST_SENTENCE


def test_a_number_without_two_ends_cannot_be_declared() -> None:
    @dataclass(frozen=True)
    class Endless:
        size: int = setting(1, help="How large.", topic="Loss", least=0)

    with pytest.raises(TypeError, match="size lacks least or most"):
        settings_of(Endless)


def test_a_type_that_no_face_shows_cannot_be_declared() -> None:
    @dataclass(frozen=True)
    class Odd:
        sizes: list = setting((), help="How large.", topic="Loss")

    with pytest.raises(TypeError, match="sizes has the type"):
        settings_of(Odd)
