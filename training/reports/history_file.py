"""Writes a run's history as a table that any spreadsheet opens: one row for each step."""

from __future__ import annotations

import csv
import io

from ..result import History

COLUMNS = ("step", "loss", "prior_loss", "learning_rate", "evaluation_inside", "evaluation_outside", "leak")


def history_csv(history: History) -> bytes:
    """UTF-8 CSV with a header; a cell is empty where nothing was measured. The measurement before the first step has no
    row."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(COLUMNS)
    unknown = [""] * len(history.losses)
    steps = zip(history.losses, history.prior_losses or unknown, history.learning_rates or unknown, strict=True)
    for step, (loss, prior, rate) in enumerate(steps, start=1):
        measured = history.evaluations.get(step)
        evaluated = (measured.inside, measured.outside, measured.leak) if measured else ("", "", "")
        table.writerow((step, loss, prior, rate, *evaluated))
    return text.getvalue().encode()
