"""The record and the tensors of every real checkpoint are taken, and each way to damage them is named in one
sentence."""

from __future__ import annotations

import copy
import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from saved_run import DONE, REFERENCES, ROWS, STEPS, record

from anima_fast_train.training import EncodedReference, StepReport, TrainingSettings
from anima_fast_train.training.resuming.run_record import check_record, parse_record
from anima_fast_train.training.resuming.run_tensors import check_tensors
from anima_fast_train.training.train_context import context_trainer
from anima_fast_train.training.trainer import MAX_RETRIES, Trainer

MakeReference = Callable[..., EncodedReference]
SETTINGS = TrainingSettings(
    steps=20, num_tokens=3, noise_pool=16, evaluations=5, ema=0.9, time_ranges=2, negative_tokens=2,
    batch_size=3, gradient_accumulation=2,
)  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Several threads wait for each other longer than these few numbers take."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def check(changed: dict[str, Any]) -> None:
    check_record(changed, steps=STEPS, references=REFERENCES, rows_per_step=ROWS)


class StopHere(Exception):
    pass


def stopped(trainer: Trainer, step: int) -> Trainer:
    def on_step(report: StepReport) -> None:
        if report.step == step:
            raise StopHere

    with pytest.raises(StopHere):
        trainer.run(on_step, None)
    return trainer


def check_as_it_stands(trainer: Trainer, references: list[EncodedReference], settings: TrainingSettings) -> None:
    """The record after a way through its JSON, and the tensors beside those of a run that has not begun."""
    state = trainer.state()
    check_record(
        parse_record(json.dumps(state.record)),
        steps=settings.steps,
        references=len(references),
        rows_per_step=settings.batch_size * settings.gradient_accumulation,
        most_retries=MAX_RETRIES,
    )
    fresh = context_trainer(trainer.model, references, settings).state()
    check_tensors(state.tensors, fresh.tensors, trainer.trainable.leaves, trainer.position.done)


@pytest.mark.parametrize("step", [1, 4, 5, 19, 20])
def test_what_a_run_writes_is_taken(tiny: Any, encoded: MakeReference, step: int) -> None:
    references = [encoded(seed=1), encoded(size=(8, 6), seed=2, weight=2.0)]
    check_as_it_stands(stopped(context_trainer(tiny, references, SETTINGS), step), references, SETTINGS)


def test_a_run_that_is_judged_elsewhere_too_is_taken(tiny: Any, encoded: MakeReference) -> None:
    reference = encoded(seed=1)
    (shown,) = reference.shown_as
    references = [replace(reference, held_back=(replace(shown, latent=shown.latent / 2),))]
    trainer = stopped(context_trainer(tiny, references, SETTINGS), 12)
    best = trainer.history.evaluations[trainer.best.step]
    assert trainer.best.step > 0 and best.unseen not in (None, best.inside)
    check_as_it_stands(trainer, references, SETTINGS)


@pytest.mark.parametrize(("lowest", "taken"), [(0.5, True), (0.6, True), (1.0, True), (0.4, False), (1.1, False)])
def test_a_best_score_lies_between_the_errors_it_is_made_of(lowest: float, taken: bool) -> None:
    changed = change("best.lowest", lowest)
    changed["history"]["evaluations"][2][1] |= {"unseen": 0.7, "unseen_leak": 0.05}
    if taken:
        check(changed)
    else:
        with pytest.raises(ValueError, match="expected 0.5 to 1 as measured at step 10"):
            check(changed)


def test_training_may_have_led_away_but_no_error_is_below_nothing() -> None:
    changed = change("best.lowest", 0.5)
    changed["history"]["evaluations"][2][1] |= {"supplied": -0.1, "unseen_supplied": None}
    check(changed)
    changed["history"]["evaluations"][2][1] |= {"leak": -0.1}
    with pytest.raises(ValueError, match="has leak -0.1, expected 0 or more"):
        check(changed)


def test_a_run_that_has_not_begun_is_taken(tiny: Any, encoded: MakeReference) -> None:
    check_as_it_stands(context_trainer(tiny, [encoded()], SETTINGS), [encoded()], SETTINGS)


@pytest.mark.parametrize("step", [1, 4, 8])
def test_a_run_with_skipped_steps_is_taken(tiny: Any, encoded: MakeReference, step: int) -> None:
    trainer, target = context_trainer(tiny, [encoded()], SETTINGS), tiny.target

    def broken(*args: Any) -> torch.Tensor:
        return target(*args) * (math.nan if trainer.position.done + 1 == step else 1)

    tiny.target = broken
    stopped(trainer, step)
    assert trainer.position.retries == 1 and not math.isfinite(trainer.history.losses[-1])
    tiny.target = target
    check_as_it_stands(trainer, [encoded()], SETTINGS)


def test_a_run_that_went_back_to_its_best_tokens_is_taken(tiny: Any, encoded: MakeReference) -> None:
    settings = TrainingSettings(
        steps=20, num_tokens=3, noise_pool=16, evaluations=10, learning_rate="3000", prior_weight=0, token_norm="raw"
    )
    trainer = stopped(context_trainer(tiny, [encoded()], settings), 2)
    assert trainer.position.retries == 1 and not trainer.optimiser.state
    check_as_it_stands(trainer, [encoded()], settings)


def change(place: str, value: Any) -> dict[str, Any]:
    """The record with another value at a place such as history.losses.3."""
    changed: Any = record()
    *path, last = [int(part) if part.isdecimal() else part for part in place.split(".")]
    inner = changed
    for part in path:
        inner = inner[part]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return changed


def test_the_whole_record_and_groups_that_are_not_known_are_taken() -> None:
    check(record())
    check(change("mood", "calm"))


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        ("position", ..., "the record has no position"),
        ("settings", [], "settings is a list of 0 values, expected an object"),
        ("references", {"a": "x" * 100_001}, "references has 100001 characters"),
        ("measured", {"a": [0] * 1000}, "measured has more than "),
        ("position.done", -5, "position.done is -5, expected a whole number from 0 to 20"),
        ("position.done", 10**9, "position.done is 1000000000, expected"),
        ("position.done", 11, "history.losses has 12 values, expected 11, one for each step done"),
        ("position.done", True, "position.done is True, expected a whole number"),
        ("position.done", 12.0, "position.done is 12.0, expected a whole number"),
        ("position.retries", 10**6, "position.retries is 1000000, expected a whole number from 0 to 3"),
        ("position.drawn", [], "position.drawn has 0 values, expected 2"),
        ("position.drawn", [50, -2], "position.drawn[1] is -2, expected a whole number from 0"),
        ("position.drawn", [24, 25], "position.drawn says 49 rows of 2 references, expected 48 after 12 steps of 4"),
        ("position.seconds", math.nan, "position.seconds is nan, expected a finite number from 0 to 1e+09"),
        ("position.more", 1, "position has 'more', expected done, retries, drawn, seconds"),
        ("position.retries", ..., "position has no retries"),
        ("history", None, "history is None, expected an object"),
        ("history.losses", [0.0] * 11, "history.losses has 11 values, expected 12"),
        ("history.losses.3", "0.5", "history.losses[3] is '0.5', expected a number"),
        ("history.learning_rates.3", math.inf, "history.learning_rates[3] is inf, expected a finite number"),
        ("history.learning_rates.3", -1.0, "history.learning_rates[3] is -1.0, expected a finite number"),
        ("history.evaluations", [], "history.evaluations has 0 values, expected 1 to 21"),
        ("history.evaluations.0.0", 1, "history.evaluations begin at step 1, expected 0"),
        ("history.evaluations.1.0", 10, "history.evaluations have step 10 after step 10, expected rising steps"),
        ("history.evaluations.2.0", 13, "history.evaluations have step 13, expected at most 12"),
        ("history.evaluations.2.1.leak", ..., "history.evaluations[2][1] has no leak"),
        ("history.evaluations.2", [1], "history.evaluations[2] has 1 values, expected 2"),
        ("history.evaluations.0.1.inside", math.nan, "the evaluation of step 0 has inside nan, expected 0 or more"),
        ("history.evaluations.1.1.outside", -0.1, "the evaluation of step 5 has outside -0.1, expected 0 or more"),
        ("best.step", 7, "best.step is 7, expected a step of history.evaluations"),
        ("best.lowest", math.nan, "best.lowest is nan, expected 0.5 to 0.8 as measured at step 10"),
        ("best.lowest", 0.0, "best.lowest is 0, expected 0.5 to 0.8 as measured at step 10"),
        ("best.worse", 3, "best.worse is 3, expected at most 2, the evaluations of tokens"),
        ("best.step", 0, "best.lowest is 0.5, expected Infinity before any tokens were the best"),
        ("warnings", "all is well", "warnings is 'all is well', expected a list of"),
        ("warnings", [1], "warnings[0] is 1, expected text"),
        ("warnings", ["\n" * 10_001], "warnings[0] has 10001 characters, expected at most 10000"),
    ],
)
def test_each_violation_is_named_in_one_sentence(place: str, value: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match="^cannot resume: in the checkpoint ") as caught:
        check(change(place, value))
    assert str(caught.value).removeprefix("cannot resume: in the checkpoint ").startswith(sentence)
    assert str(caught.value).isprintable() and len(str(caught.value)) <= 300


@pytest.mark.parametrize("place", ["history.losses.3", "history.prior_losses.0", "history.evaluations.1.1.inside"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_was_measured_may_have_failed(place: str, value: float) -> None:
    check(parse_record(json.dumps(change(place, value))))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is damaged: its record is not JSON at character 1"),
        ('{"a":', "is damaged: its record is not JSON at character 6"),
        ("[1]", "is damaged: its record is not an object"),
        ("[" * 100_000, "is damaged: its record is nested deeper than 16"),
        ('{"a":1,"a":2}', "is damaged: its record names 'a' twice"),
        ('{"a":' + "1" * 5000 + "}", "is damaged: its record holds a number of 5000 digits, expected at most 20"),
        ("[" + "0," * 1_000_001 + "0]", "is damaged: its record holds more than 700000 values"),
    ],
)
def test_a_record_that_is_none_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match="is damaged") as caught:
        parse_record(text)
    assert str(caught.value) == sentence


def test_a_record_of_a_hundred_thousand_steps_is_taken() -> None:
    long = record()
    done = 100_000
    for name in ("losses", "prior_losses", "learning_rates"):
        long["history"][name] = [0.1234567890123] * done
    long["position"] |= {"done": done, "drawn": [done * ROWS, 0]}
    check_record(parse_record(json.dumps(long)), steps=done, references=REFERENCES, rows_per_step=ROWS)


def tensors_of_a_run() -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Those of a fresh run, and of one after DONE steps."""
    leaf = torch.ones(2, 3, 4)
    fresh = {"generator": torch.Generator().get_state(), "leaf.0": leaf, "updates": torch.tensor(0)}
    moments = {"step": torch.tensor(float(DONE)), "exp_avg": leaf, "exp_avg_sq": leaf}
    after = fresh | {"updates": torch.tensor(DONE)} | {f"optimiser.0.{name}": part for name, part in moments.items()}
    return fresh, after


@pytest.mark.parametrize(
    ("name", "tensor", "sentence"),
    [
        ("leaf.0", None, "tensor leaf.0 is missing"),
        ("generator", None, "tensor generator is missing"),
        ("optimiser.0.step", None, "tensor optimiser.0.step is missing"),
        ("leaf.0", torch.ones(3, 2, 4), "tensor leaf.0 is [3, 2, 4] of torch.float32, expected [2, 3, 4] of "),
        ("leaf.0", torch.ones(2, 3, 4).double(), "tensor leaf.0 is [2, 3, 4] of torch.float64, expected [2, 3, 4] of "),
        ("optimiser.0.exp_avg", torch.ones(1), "tensor optimiser.0.exp_avg is [1] of "),
        ("optimiser.0.exp_avg_sq", -torch.ones(2, 3, 4), "optimiser.0.exp_avg_sq holds -1, expected 0 or more"),
        ("optimiser.0.step", torch.tensor(13.0), "optimiser.0.step is 13, expected a whole number from 0 to 12"),
        ("optimiser.0.step", torch.tensor(math.nan), "optimiser.0.step is nan, expected"),
        ("updates", torch.tensor(-1), "updates is -1, expected a whole number from 0 to 12"),
        ("optimiser.1.step", torch.tensor(1.0), "tensor 'optimiser.1.step' belongs to no run of these settings"),
        ("\n", torch.tensor(1.0), "tensor '\\n' belongs to no run"),
        ("generator", torch.full((5056,), 255, dtype=torch.uint8), "generator is no state of a random generator"),
    ],
)
def test_each_wrong_tensor_is_named(name: str, tensor: torch.Tensor | None, sentence: str) -> None:
    fresh, after = tensors_of_a_run()
    check_tensors(after, fresh, [fresh["leaf.0"]], DONE)
    changed = copy.copy(after) | ({} if tensor is None else {name: tensor})
    if tensor is None:
        del changed[name]
    with pytest.raises(ValueError, match="^cannot resume: in the checkpoint ") as caught:
        check_tensors(changed, fresh, [fresh["leaf.0"]], DONE)
    assert str(caught.value).removeprefix("cannot resume: in the checkpoint ").startswith(sentence)
    assert str(caught.value).isprintable()
