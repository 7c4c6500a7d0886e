"""Draws how a run went: the loss of every step, smoothed, the evaluation inside and outside the mask, and the learning
rate."""

from __future__ import annotations

import io
from typing import Any

from ..result import History
from .loss_curve import Smoother

RAW, LOSS, INSIDE, OUTSIDE = "#b9c1cc", "#3b6ea8", "#c2185b", "#5f6b7a"
STYLE: Any = {"axes.spines.top": False, "axes.spines.right": False, "font.size": 12}


def smoothed(values: list[float]) -> list[float]:
    """The moving average after each value."""
    smoother = Smoother()
    return [smoother.add(value) for value in values]


def loss_plot(history: History) -> bytes:
    """A PNG. Inside should fall and outside should stay where it was; what a history lacks is left out.

    Raises ModuleNotFoundError, in one sentence, where matplotlib is not installed.
    """
    # Imported here, because it takes most of a second and most runs in ComfyUI never plot.
    try:
        import matplotlib.figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the plot needs matplotlib, which is not installed: run pip install matplotlib in ComfyUI's Python"
        ) from error

    with matplotlib.rc_context(STYLE):
        figure = matplotlib.figure.Figure(figsize=(9, 5.2), layout="constrained")
        if history.learning_rates:
            loss_axes, rate_axes = figure.subplots(2, 1, sharex=True, height_ratios=(5, 1))
            draw_rates(rate_axes, history.learning_rates)
        else:
            loss_axes = rate_axes = figure.subplots()
        draw_losses(loss_axes, history)
        rate_axes.set_xlabel("step")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def draw_losses(axes: Any, history: History) -> None:
    steps = range(1, len(history.losses) + 1)
    axes.plot(steps, history.losses, color=RAW, linewidth=0.8, label="loss of each step")
    axes.plot(steps, smoothed(history.losses), color=LOSS, linewidth=1.8, label="smoothed")
    axes.set_title("Loss of each step")
    measured = sorted(history.evaluations.items())
    if measured:
        at = [step for step, _ in measured]
        axes.plot(
            at,
            [e.inside for _, e in measured],
            "o-",
            color=INSIDE,
            linewidth=1.2,
            label="evaluation loss inside the mask",
        )
        axes.set_title("The evaluation loss should fall")
        if measured[0][1].outside > 0:
            axes.plot(
                at,
                [e.outside for _, e in measured],
                "s--",
                color=OUTSIDE,
                linewidth=1.2,
                label="evaluation loss outside the mask",
            )
            axes.set_title("Inside the mask the evaluation loss should fall; outside it should stay")
    axes.set_ylabel("mean squared error")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)


def draw_rates(axes: Any, rates: list[float]) -> None:
    axes.plot(range(1, len(rates) + 1), rates, color=LOSS, linewidth=1.2)
    axes.set_ylabel("learning rate")
    axes.set_ylim(bottom=0)
