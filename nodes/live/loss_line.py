"""Sends the loss of a running training to the page that started it, where web/js/loss_line.js draws it on the node."""

from __future__ import annotations

import time
from typing import Any

from comfy_execution.progress import get_progress_state
from comfy_execution.utils import get_executing_context

from ...training.reports.loss_curve import LossCurve
from ...training.result import StepReport

EVENT = "anima_fast_train.loss"
SECONDS_BETWEEN_MESSAGES = 0.25
DIGITS = 5  # of a loss in a message


class LiveLoss:
    """Told of every step; sends the curve so far after the first, the last and measured ones, and a few times a second
    between."""

    def __init__(self) -> None:
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
            send(self.message(report))
            self._next_message = time.monotonic() + SECONDS_BETWEEN_MESSAGES

    def message(self, report: StepReport) -> dict[str, Any]:
        """line: [step, smoothed loss]; evaluations: [step, inside, outside], step 0 being the model without tokens."""
        return {
            "step": report.step,
            "steps": report.steps,
            "line": [(step, significant(loss)) for step, loss in self._curve.points()],
            "evaluations": [
                (step, significant(inside), significant(outside)) for step, inside, outside in self._evaluations
            ],
        }


def significant(value: float) -> float | None:
    """Shortened for the wire; None for what JSON has no number for."""
    return float(f"{value:.{DIGITS}g}") if abs(value) < float("inf") else None


def send(message: dict[str, Any]) -> None:
    """To the page that queued the prompt, for the node that is executing there. Without a server there is nobody to
    send to."""
    context = get_executing_context()
    if context is None:
        return
    # ComfyUI's own module of that name, which a node in a check without a server must not start.
    from server import PromptServer

    node = get_progress_state().dynprompt.get_display_node_id(context.node_id)
    server = PromptServer.instance
    server.send_sync(EVENT, {"node": node, "prompt_id": context.prompt_id, **message}, server.client_id)
