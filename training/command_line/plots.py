"""Draws loss.png: the loss of every step, smoothed, and the evaluation inside and outside the mask."""

from __future__ import annotations

import io
import math

import matplotlib
import matplotlib.figure

from ..result import TrainingResult

SMOOTHING = 0.95


def smoothed(values: list[float], keep: float = SMOOTHING) -> list[float]:
    """Exponential moving average, corrected for its start; it stays where a value is not finite."""
    average, weight, out = 0.0, 0.0, []
    for value in values:
        if math.isfinite(value):
            average = keep * average + (1 - keep) * value
            weight = keep * weight + (1 - keep)
        out.append(average / weight if weight else math.nan)
    return out


def loss_plot(result: TrainingResult) -> bytes:
    """A PNG. Inside should fall and outside should stay where it was."""
    with matplotlib.rc_context({"axes.spines.top": False, "axes.spines.right": False, "font.size": 10}):
        figure = matplotlib.figure.Figure(figsize=(9, 5.2), layout="constrained")
        loss_axes, rate_axes = figure.subplots(2, 1, sharex=True, height_ratios=(5, 1))
        steps = range(1, len(result.losses) + 1)
        loss_axes.plot(steps, result.losses, color="#c9cfd8", linewidth=0.8, label="loss of each step")
        loss_axes.plot(steps, smoothed(result.losses), color="#3b6ea8", linewidth=1.8, label="smoothed")
        measured = sorted(result.evaluations.items())
        at = [step for step, _ in measured]
        loss_axes.plot(
            at, [e.inside for _, e in measured], "o-", color="#c2185b", linewidth=1.2, label="evaluation inside the mask"
        )
        if result.before.outside > 0:
            loss_axes.plot(
                at, [e.outside for _, e in measured], "s--", color="#5f6b7a", linewidth=1.2, label="evaluation outside the mask"
            )
        loss_axes.set_ylabel("mean squared error")
        loss_axes.set_ylim(bottom=0)
        loss_axes.legend(frameon=False)
        loss_axes.set_title("Inside the mask the error should fall; outside it should stay")
        rate_axes.plot(steps, result.learning_rates, color="#3b6ea8", linewidth=1.2)
        rate_axes.set_ylabel("learning rate")
        rate_axes.set_xlabel("step")
        rate_axes.set_ylim(bottom=0)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
