"""What the record of a checkpoint may say, checked before a run goes on from it.

The record is the JSON beside the tensors: what the run was given, how it went, and where it stands. Whatever a damaged
or foreign record says is found here in one sentence, and not by a run that fails, hangs or ends in another context.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

from ..files.bounded_json import loads
from ..files.value_rules import ListOf, Number, ObjectOf, OrNull, PlainObject, Rule, Text, Whole
from ..settings import LARGEST_RATE
from ..training_info import LONGEST_WORDS

# Of the whole record: three for each of a hundred thousand steps, eleven for each of ten thousand evaluations, and 18
# for each of ten thousand references.
MOST_VALUES = 700_000
MOST_RETRIES = 3
LONGEST_TEXT = 100_000  # characters of a caption or a prompt
LONGEST_WARNING = 10_000  # a warning may name a file
MOST_WARNINGS = 1000
MOST_TRIALS = 1000
LARGEST_ERROR = 1e12  # of a measurement; one beyond it is as good as not finite
LONGEST_RUN = 1e9  # seconds
ROUNDING = 1e-6

# What the run was given. The trainer compares it value by value with what it has, so any plain values will do.
GIVEN = ("settings", "references", "measured")

# What checkpoints of version 0.1 do not say, because it could do nothing else.
SETTINGS_OF_0_1 = {"token_norm": "raw", "subject_words": "", "token_attention": "shared"}

_SUPPLIED = ("supplied", "unseen_supplied")  # below 0 where training led away
_MEASURED = Number(-LARGEST_ERROR, LARGEST_ERROR, measured=True)
_EVALUATION = ObjectOf(
    {"inside": _MEASURED, "outside": _MEASURED, "leak": _MEASURED},
    # Absent in older runs, null in those without views that are held back.
    optional={name: OrNull(_MEASURED) for name in ("unseen", "unseen_leak", *_SUPPLIED)},
)


def parse_record(text: str) -> dict[str, Any]:
    """The record that a checkpoint's metadata hold as JSON; NaN and Infinity are allowed, as Python writes them.

    Raises ValueError in the second half of a sentence that begins with the file's name.
    """
    try:
        record = loads(text, MOST_VALUES, special_numbers=True)
    except ValueError as error:
        raise ValueError(f"is damaged: its record {error}") from error
    if not isinstance(record, dict):
        raise ValueError("is damaged: its record is not an object")
    return record


def recorded_words(record: dict[str, Any]) -> str:
    """The words that the run says for its subject; none where the record does not name them, as older ones do not."""
    words = record.get("subject_words", "")
    return words if isinstance(words, str) and len(words) <= LONGEST_WORDS else ""


def check_record(
    record: dict[str, Any], *, steps: int, references: int, rows_per_step: int, most_retries: int = MOST_RETRIES
) -> None:
    """Raises one ValueError, a whole sentence, where a run of `steps` steps on so many references cannot stand where
    the record says.

    rows_per_step: batch size times gradient accumulation. Groups of the record beside those known here are let pass.
    """
    try:
        _check_shape(record, steps, references, most_retries)
        _check_lengths(record, references, rows_per_step)
        _check_evaluations(record)
        _check_best(record)
    except ValueError as error:
        raise ValueError(f"cannot resume: in the checkpoint {error}") from error


def _check_shape(record: dict[str, Any], steps: int, references: int, most_retries: int) -> None:
    """Each value by itself."""
    given = PlainObject(20 * references + 200, LONGEST_TEXT)
    rules: dict[str, Rule] = {
        **dict.fromkeys(GIVEN, given),
        "position": ObjectOf(
            {
                "done": Whole(0, steps),
                "retries": Whole(0, most_retries),
                "drawn": ListOf(Whole(0, 2**53), references, references),
                "seconds": Number(0, LONGEST_RUN),
            }
        ),
        "history": ObjectOf(
            {
                "losses": ListOf(Number(measured=True), 0, steps),
                "prior_losses": ListOf(Number(measured=True), 0, steps),
                "learning_rates": ListOf(Number(0, LARGEST_RATE), 0, steps),
                "evaluations": _Evaluations(steps),
            }
        ),
        "best": ObjectOf(
            {
                "step": Whole(0, steps),
                "lowest": Number(0, 2 * LARGEST_ERROR, measured=True),
                "worse": Whole(0, steps),
            }
        ),
        "warnings": ListOf(Text(LONGEST_WARNING), 0, MOST_WARNINGS),
    }
    if "subject_words" in record:
        rules["subject_words"] = Text(LONGEST_WORDS)
    if "found_rate" in record:
        rate = ObjectOf({"rate": Number(0, LARGEST_RATE), "steps": Whole(0, MOST_TRIALS)})
        rules["found_rate"] = OrNull(rate)
    for group in rules:
        if group not in record:
            raise ValueError(f"the record has no {group}")
    for group, rule in rules.items():
        rule.check(group, record[group])


class _Evaluations:
    """A list of pairs of a step and what was measured after it, steps rising from 0, which is the model without
    tokens."""

    def __init__(self, steps: int) -> None:
        self._steps = steps

    def check(self, where: str, value: Any) -> None:
        ListOf(_Anything(), 1, self._steps + 1).check(where, value)
        for number, pair in enumerate(value):
            here = f"{where}[{number}]"
            ListOf(_Anything(), 2, 2).check(here, pair)
            Whole(0, self._steps).check(f"{here}[0]", pair[0])
            _EVALUATION.check(f"{here}[1]", pair[1])


class _Anything:
    def check(self, where: str, value: Any) -> None:
        """What it is, is judged elsewhere."""


def _check_lengths(record: dict[str, Any], references: int, rows_per_step: int) -> None:
    """As many steps in the history, and as many rows drawn, as the position says."""
    done, drawn = record["position"]["done"], record["position"]["drawn"]
    for name in ("losses", "prior_losses", "learning_rates"):
        count = len(record["history"][name])
        if count != done:
            raise ValueError(f"history.{name} has {count} values, expected {done}, one for each step done")
    if sum(drawn) != done * rows_per_step:
        raise ValueError(
            f"position.drawn says {sum(drawn)} rows of {references} references, expected {done * rows_per_step} "
            f"after {done} steps of {rows_per_step}"
        )


def _check_evaluations(record: dict[str, Any]) -> None:
    """The model without tokens was measured, and after it steps in the order in which they were done."""
    done, evaluations = record["position"]["done"], record["history"]["evaluations"]
    taken = [step for step, _ in evaluations]
    if taken[0] != 0:
        raise ValueError(f"history.evaluations begin at step {taken[0]}, expected 0, the model without tokens")
    for earlier, later in itertools.pairwise(taken):
        if later <= earlier:
            raise ValueError(f"history.evaluations have step {later} after step {earlier}, expected rising steps")
    if taken[-1] > done:
        raise ValueError(f"history.evaluations have step {taken[-1]}, expected at most {done}, the steps done")
    for step, measured in evaluations:
        for name, value in measured.items():
            if value is None:
                continue
            below = value < 0 and name not in _SUPPLIED
            if below or (step == 0 and not math.isfinite(value)):
                raise ValueError(f"the evaluation of step {step} has {name} {value:.4g}, expected 0 or more")


def _check_best(record: dict[str, Any]) -> None:
    """The best step was measured, and its score is one that its errors can give: between those inside, of the reference
    and of unseen views, and what the error outside adds to them."""
    best, measured = record["best"], dict(record["history"]["evaluations"])
    step, lowest, worse = best["step"], best["lowest"], best["worse"]
    if step not in measured:
        raise ValueError(f"best.step is {step}, expected a step of history.evaluations")
    if worse > len(measured) - 1:
        raise ValueError(f"best.worse is {worse}, expected at most {len(measured) - 1}, the evaluations of tokens")
    if step == 0:
        if lowest != math.inf:
            raise ValueError(f"best.lowest is {lowest:.4g}, expected Infinity before any tokens were the best")
        return
    unseen, outside = measured[step].get("unseen"), measured[step]["outside"]
    inside = measured[step]["inside"]
    least, most = sorted((inside, inside if unseen is None else unseen))
    most += outside if math.isfinite(outside) else 0.0
    if not least * (1 - ROUNDING) <= lowest <= most * (1 + ROUNDING):
        raise ValueError(f"best.lowest is {lowest:.4g}, expected {least:.4g} to {most:.4g} as measured at step {step}")
