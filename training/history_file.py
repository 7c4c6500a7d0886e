"""Writes a run's history as a table that any spreadsheet opens: one row for each step."""

from __future__ import annotations

import csv
import io

from .result import TrainingResult

COLUMNS = ("step", "loss", "prior_loss", "learning_rate", "evaluation_inside", "evaluation_outside", "leak")


def history_csv(result: TrainingResult) -> bytes:
    """UTF-8 CSV with a header; the evaluation columns are empty where a step was not measured."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(COLUMNS)
    steps = zip(result.losses, result.prior_losses, result.learning_rates, strict=True)
    for step, (loss, prior, rate) in enumerate(steps, start=1):
        measured = result.evaluations.get(step)
        evaluated = (measured.inside, measured.outside, measured.leak) if measured else ("", "", "")
        table.writerow((step, loss, prior, rate, *evaluated))
    return text.getvalue().encode()
