"""Turns what an artist writes as a learning rate into one rate for each step.

A rate is a number, or a list in the webui's syntax `0.01:100, 1e-3:1000, 1e-4`: the first rate for steps 1 to 100, the
second until step 1000, the last until the end. The last part may stand alone or end in `:-1`, which mean the same. A
list whose last part names an earlier step ends the training there, as it does in the webui. Here an end may also be a
share of the run, written with
a point: `0.01:0.5` lasts for half of it. `auto` lets the run find its rate. A shape and a warm-up multiply whatever
the list says.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

from ..masking.wording import quoted

Shape = Literal["constant", "linear", "cosine"]
AUTOMATIC = "auto"

# Room for a thousand parts of twenty characters; a schedule that a person wrote has a few.
LONGEST_TEXT = 20_000
MOST_PARTS = 1000

# Each letter can only be read in one way, so that a long word is judged in one pass.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_STEP = re.compile(r"\+?\d+", re.ASCII)
_SHARE = re.compile(r"\+?(\d+\.\d*|\.\d+)", re.ASCII)


@dataclass(frozen=True)
class Phase:
    """One part of the list: `rate` until step `until`: a step (int), a share of the run (float), or its end (None)."""

    rate: float
    until: int | float | None = None

    def end(self, total_steps: int) -> int:
        """The number of steps of a run of `total_steps` that have passed when this phase ends."""
        if self.until is None:
            return total_steps
        if isinstance(self.until, float):
            return math.floor(self.until * total_steps + 0.5)
        return min(self.until, total_steps)


@dataclass(frozen=True)
class LearningRate:
    """The phases of a schedule with the shape and the warm-up laid over them; made by `parse_learning_rate`."""

    phases: tuple[Phase, ...]
    shape: Shape = "constant"
    warm_up: float = 0.0  # share of the run in which the rate rises from near 0
    automatic: bool = False  # the rates are shares of one that the run has to find

    def __post_init__(self) -> None:
        if self.shape not in get_args(Shape):
            raise ValueError(
                f"learning rate shape is {quoted(self.shape)}, expected one of {', '.join(get_args(Shape))}"
            )
        if not 0 <= self.warm_up < 1:
            raise ValueError(f"learning rate warm-up is {self.warm_up}, expected a share of the run from 0 to below 1")

    def rates(self, total_steps: int) -> tuple[float, ...]:
        """The rate of each step. Fewer than `total_steps` where the list ends the training early."""
        rates: list[float] = []
        for number, phase in enumerate(self.phases, start=1):
            end = phase.end(total_steps)
            if end < len(rates):
                raise ValueError(
                    f"learning rate part {number} ends at step {end} of {total_steps}, before the part in front of it "
                    f"at step {len(rates)}"
                )
            rates += [phase.rate] * (end - len(rates))
        return tuple(rate * self._factor(step, len(rates)) for step, rate in enumerate(rates))

    def _factor(self, step: int, steps: int) -> float:
        """What shape and warm-up leave of the rate at 0-based `step`; never 0, so that no step is wasted."""
        rising = math.floor(self.warm_up * steps)
        if step < rising:
            return (step + 1) / (rising + 1)
        progress = (step - rising) / (steps - rising)
        if self.shape == "linear":
            return 1 - progress
        if self.shape == "cosine":
            return (1 + math.cos(math.pi * progress)) / 2
        return 1.0


def parse_learning_rate(value: str | float, shape: Shape = "constant", warm_up: float = 0.0) -> LearningRate:
    """The schedule that `value` describes: a number, or a list in the syntax above.

    Raises one ValueError that names the part that is wrong, what it says, and the character (from 1) at which it
    begins.
    """
    text = value if isinstance(value, str) else _written(value)
    if text.strip().lower() == AUTOMATIC:
        return LearningRate((Phase(1.0),), shape, warm_up, automatic=True)
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"learning rate has {len(text):,} characters, expected at most {LONGEST_TEXT:,}")
    parts = text.split(",")
    if len(parts) > MOST_PARTS:
        raise ValueError(f"learning rate has {len(parts):,} parts, expected at most {MOST_PARTS:,}")
    _refuse_decimal_commas(parts)
    phases: list[Phase] = []
    last_of_kind: dict[type, int | float] = {}
    start = 0
    for number, part in enumerate(parts, start=1):
        phase = _parse_part(part, number, start, is_last=number == len(parts))
        _check_order(last_of_kind, phase, part, number, start)
        phases.append(phase)
        start += len(part) + 1
    if not any(phase.rate for phase in phases):
        raise _wrong(text, 1, 0, "all rates are 0, expected one above 0")
    return LearningRate(tuple(phases), shape, warm_up)


def _written(value: float) -> str:
    try:
        return str(float(value))
    except OverflowError:
        raise ValueError("learning rate is out of range, expected 0 or above") from None


def _refuse_decimal_commas(parts: list[str]) -> None:
    """`0,3` would be the rate 0, and then the rate 3."""
    start = 0
    for number, (part, following) in enumerate(pairwise(parts), start=1):
        decimals = re.match(r"\d+", following, re.ASCII)
        if decimals and re.fullmatch(r"\s*[+-]?\d+", part, re.ASCII):
            reason = (
                "it lasts until the end, so no part can follow; a decimal comma? Write "
                f"{quoted(f'{part.strip()}.{decimals[0]}', 20)[1:-1]}"
            )
            raise _wrong(part, number, start, reason)
        start += len(part) + 1


def _parse_part(part: str, number: int, start: int, is_last: bool) -> Phase:
    """`rate`, `rate:step`, `rate:share` or `rate:-1`, of which the first and the last can only end a list."""
    rate_text, colon, end_text = part.partition(":")
    rate = _parse_rate(rate_text, part, number, start)
    end_start = start + len(rate_text) + len(colon)
    until = _parse_end(end_text, number, end_start) if colon else None
    if until is None and not is_last:
        if colon:
            raise _wrong(end_text, number, end_start, "step -1 means until the end, so no part can follow")
        raise _wrong(part, number, start, "it lasts until the end, so no part can follow; expected rate:step")
    return Phase(rate, until)


def _parse_rate(text: str, part: str, number: int, start: int) -> float:
    word = text.strip()
    if not word:
        raise _wrong(part, number, start, "the rate is missing")
    if not _NUMBER.fullmatch(word):
        raise _wrong(text, number, start, "the rate is not a number")
    rate = float(word)
    if not 0 <= rate < math.inf or word.startswith("-"):
        raise _wrong(text, number, start, "the rate is out of range, expected 0 or above")
    return rate


def _parse_end(text: str, number: int, start: int) -> int | float | None:
    word = text.strip()
    if word == "-1":
        return None
    if _STEP.fullmatch(word):
        if len(word) > 18 or int(word) < 1:
            raise _wrong(text, number, start, "the step is out of range, expected 1 or above")
        return int(word)
    if _SHARE.fullmatch(word):
        if not 0 < float(word) <= 1:
            raise _wrong(
                text, number, start, "the share of the run is out of range, expected above 0.0 and at most 1.0"
            )
        return float(word)
    if not word:
        raise _wrong(text, number, start, "the step is missing after the colon")
    if ":" in word:
        raise _wrong(text, number, start, "there is more than one colon, expected rate:step")
    raise _wrong(text, number, start, "the step is not a whole number, a share such as 0.5, or -1")


def _check_order(before: dict[type, int | float], phase: Phase, part: str, number: int, start: int) -> None:
    """Steps rise among steps and shares among shares; how a step and a share compare depends on the run's length.
    `before` holds the last of each and takes this one."""
    if phase.until is None:
        return
    earlier = before.get(type(phase.until))
    if earlier is not None and phase.until <= earlier:
        rate_text, _, end_text = part.partition(":")
        reason = f"it does not come after {earlier} in an earlier part"
        raise _wrong(end_text, number, start + len(rate_text) + 1, reason)
    before[type(phase.until)] = phase.until


def _wrong(text: str, number: int, start: int, reason: str) -> ValueError:
    """The error for `text`, which begins at 0-based `start` of the whole; spaces around it are not part of it."""
    position = start + len(text) - len(text.lstrip()) + 1
    return ValueError(f"learning rate part {number}, character {position}, {quoted(text.strip(), 60)}: {reason}")
