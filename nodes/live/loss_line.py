"""Sends the loss of a running training to the page that started it, where web/js/training_panel.js draws it on the
node."""

from __future__ import annotations

import time
from typing import Any

from ...training.reports.loss_curve import LossCurve
from ...training.result import History, StepReport
from .phases import Phases

EVENT = "anima_fast_train.loss"
DONE = "anima_fast_train.done"
SECONDS_BETWEEN_MESSAGES = 0.25
DIGITS = 5  # of a loss in a message


class LiveLoss:
    """Told of every step; sends the curve so far after the first, the last and measured ones, and a few times a second
    between."""

    def __init__(self, phases: Phases) -> None:
        self._phases = phases
        self._curve = LossCurve()
        self._evaluations: list[tuple[int, float, float]] = []
        self._next_message = 0.0

    def after(self, report: StepReport) -> None:
        self._curve.add(report.step, report.loss)
        if not self._evaluations and report.before is not None:
            self._evaluations.append((0, report.before.inside, report.before.outside))
        if report.evaluation is not None:
            self._evaluations.append((report.step, report.evaluation.inside, report.evaluation.outside))
        if time.monotonic() >= self._next_message or report.evaluation is not None or report.step == report.steps:
            self._phases.send(EVENT, self.message(report))
            self._next_message = time.monotonic() + SECONDS_BETWEEN_MESSAGES

    def message(self, report: StepReport) -> dict[str, Any]:
        return {
            **self._phases.message(),
            "step": report.step,
            "steps": report.steps,
            **drawn(self._curve, self._evaluations),
        }


def drawn(curve: LossCurve, evaluations: list[tuple[int, float, float]]) -> dict[str, Any]:
    """line: [step, smoothed loss]; evaluations: [step, inside, outside], step 0 being the model without tokens."""
    return {
        "line": [(step, significant(loss)) for step, loss in curve.points()],
        "evaluations": [(step, significant(inside), significant(outside)) for step, inside, outside in evaluations],
    }


def done_message(words: str, kept_step: int, history: History, figures: dict[str, Any]) -> dict[str, Any]:
    """What stays on the node: the whole curve, and of the step whose tokens were kept the figures that `info` tells.

    words: how the run ended. figures: its seconds, memory and final loss.
    """
    curve = LossCurve()
    for step, loss in enumerate(history.losses, start=1):
        curve.add(step, loss)
    measured = [(step, each.inside, each.outside) for step, each in sorted(history.evaluations.items())]
    return {"phase": words, "step": len(history.losses), "kept": kept_step, **figures, **drawn(curve, measured)}


def significant(value: float) -> float | None:
    """Shortened for the wire; None for what JSON has no number for."""
    return float(f"{value:.{DIGITS}g}") if abs(value) < float("inf") else None
