"""Settings at and beyond their edges, as a workflow may hold them, are refused in one sentence or train tokens that are
finite and can be saved."""

from __future__ import annotations

import math
import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from anima_fast_train.declared import Setting, check_value, settings_of
from anima_fast_train.training import ReferenceContext, TrainingDiverged, TrainingSettings, train_context_tokens
from anima_fast_train.training.run_options import GROUPS

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from judged import cases, refusals
from small_backbone import TinyBackbone, tiny_reference

# Beside the edges of each setting: other kinds, other scales, and numbers that are none.
STRANGE = (
    math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, -0.0, 10**400, -(10**400), 2**63, 2**64, 10**9, -1, 0, 1, 1.5,
    True, False, None, "", "1", "\0\x1b[2J\u202e", "\ud800", "x" * 10**6, [], {}, (1,), b"1", "0.1:0", "1e999", "nan",
)  # fmt: skip
# What a run costs grows with these, so that one which was accepted is trained with fewer of them.
CHEAP = {
    "steps": 2, "batch_size": 2, "gradient_accumulation": 2, "num_tokens": 4, "noise_pool": 8, "evaluations": 2,
    "negative_tokens": 2, "time_ranges": 3,
}  # fmt: skip


def edges(declared: Setting) -> list[Any]:
    """The values of a setting that a rule is most likely to have wrong."""
    if declared.choices:
        return [*declared.choices, *(choice.upper() for choice in declared.choices)]
    if declared.kind is str:
        return ["x" * declared.longest, "x" * (declared.longest + 1), "\n" * declared.longest]
    if declared.kind is bool:
        return [True, False, 0, 1]
    assert declared.least is not None and declared.most is not None
    ends = [declared.least, declared.most, declared.least - 1, declared.most + 1]
    if declared.kind is int:
        return [*ends, float(declared.least)]
    return [*ends, math.nextafter(declared.least, -math.inf), math.nextafter(declared.most, math.inf)]


def drawn(group: type, count: int, seed: int = 0) -> list[dict[str, Any]]:
    """So many sets of one to three settings of a group at their edges."""
    chance, declared = random.Random(seed), settings_of(group)
    return [
        {
            each.field: chance.choice(edges(each) if chance.random() < 0.7 else STRANGE)
            for each in chance.sample(declared, min(len(declared), chance.randint(1, 3)))
        }
        for _ in range(count)
    ]


def train(changes: dict[str, Any], folder: Path) -> None:
    """As a run does: refused before it starts, or trained and saved."""
    settings = replace(TrainingSettings(), **changes)
    settings.validate()
    backbone = TinyBackbone()
    cheap = {name: min(getattr(settings, name), most) for name, most in CHEAP.items()}
    try:
        result = train_context_tokens(backbone, [tiny_reference(backbone)], replace(settings, **cheap))
    except TrainingDiverged as diverged:  # which a command says with the place of the best tokens
        assert all(tensor.isfinite().all() for tensor in diverged.trained.tensors().values())
        raise ValueError(str(diverged)) from diverged
    result.trained.save(folder / "a.safetensors")
    loaded = ReferenceContext.load(folder / "a.safetensors")
    assert all(tensor.isfinite().all() for tensor in loaded.tensors().values())


def test_settings_of_a_training_at_the_edge_train_or_are_refused(tmp_path: Path) -> None:
    given = drawn(TrainingSettings, cases(100, 1000))
    said = refusals(lambda changes: train(changes, tmp_path), given)
    assert 0.3 * len(given) < len(said) < len(given)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.__name__)
def test_every_setting_at_the_edge_is_taken_or_refused(group: type) -> None:
    by_field = {each.field: each for each in settings_of(group)}
    given = [item for changes in drawn(group, cases(60, 1000), seed=1) for item in changes.items()]
    said = refusals(lambda item: check_value(by_field[item[0]], item[1], item[0]), given)
    for number, (name, value) in enumerate(given):
        declared = by_field[name]
        if declared.kind in (int, float) and isinstance(value, (int, float)) and not isinstance(value, bool):
            assert declared.least is not None and declared.most is not None
            inside = declared.least <= value <= declared.most and not (declared.below and value == declared.most)
            whole = isinstance(value, int) or declared.kind is float
            assert (number in said) != (inside and whole), (name, value)
        elif declared.kind is not str:
            assert (number in said) != (declared.kind is bool and isinstance(value, bool)), (name, value)


def test_what_no_file_could_hold_is_not_trained() -> None:
    backbone = TinyBackbone()
    settings = replace(TrainingSettings(steps=1), num_tokens=4096, negative_tokens=4096, time_ranges=1000)
    said = refusals(lambda _: train_context_tokens(backbone, [tiny_reference(backbone)], settings), [0])
    assert "time_ranges make a context of 394 MB, expected at most 134 MB" in said[0]
