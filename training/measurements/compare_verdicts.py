"""Runs trainings whose end is known beforehand, and shows what the verdict says of each: where its thresholds come
from.

Beside it stands what an artist sees: how much of the character samples under other prompts show, and how much of what
these ask for.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..reports.summary import verdict
from ..result import TrainingDiverged
from .carry_runs import shown_and_obeyed, train
from .carry_trainings import DEFAULTS, Recipe
from .carry_yardstick import Yardstick, bundled_models
from .compare import FIRST_SEED
from .equal_time import one_thread

CASES: dict[str, Recipe] = {
    "far too low a rate": DEFAULTS.but(steps=100, learning_rate="0.0005"),
    "10 steps": DEFAULTS.but(steps=10),
    "25 steps": DEFAULTS.but(steps=25),
    "60 steps": DEFAULTS.but(steps=60),
    "60 steps, cut off while the rate is high": DEFAULTS.but(steps=60, rate_shape="constant"),
    "150 steps": DEFAULTS.but(steps=150),
    "300 steps": DEFAULTS.but(steps=300),
    "the defaults": DEFAULTS,
    "four noises, learned by heart": DEFAULTS.but(steps=300, noise_pool=4, rate_shape="constant"),
    "the picture as it is alone": DEFAULTS.but(cut_paste=0.0),
    "far too high a rate": DEFAULTS.but(steps=60, learning_rate="1000", token_norm="raw"),
}


@dataclass(frozen=True)
class Row:
    """carried: of what the model lacked, what is supplied on the reference and on views that training never saw; None
    where nothing came out, or no views were held back. identity, obedience: of samples at each guidance of
    `carry_runs`."""

    case: str
    reference: int
    verdict: str
    carried: float | None = None
    identity: tuple[float, ...] = ()
    obedience: tuple[float, ...] = ()


def measure(references: int, sampling_steps: int, say: Callable[[str], None]) -> list[Row]:
    """One row for each case and reference, on one thread."""
    rows = []
    with one_thread():
        for seed in range(FIRST_SEED, FIRST_SEED + references):
            yard = Yardstick(*bundled_models(), seed, sampling_steps)
            for name, recipe in CASES.items():
                row = _row(yard, name, recipe)
                rows.append(row)
                say(f"{name}, reference {seed}: {_figures([row])}; {row.verdict}")
    return rows


def _row(yard: Yardstick, name: str, recipe: Recipe) -> Row:
    try:
        result = train(yard, recipe)
    except TrainingDiverged:
        return Row(name, yard.seed, "diverged")
    return Row(name, yard.seed, verdict(result), result.after.carried, *shown_and_obeyed(yard, result.trained))


def table(rows: Sequence[Row]) -> str:
    """Markdown: the verdicts of each case by how often they came, the medians of the figures."""
    lines = ["| training | verdict | carried | identity | obedience |", "|---|---|---|---|---|"]
    for name in dict.fromkeys(row.case for row in rows):
        of_case = [row for row in rows if row.case == name]
        verdicts = Counter(row.verdict.partition(":")[0] for row in of_case)
        said = ", ".join(f"{words} ({count})" for words, count in verdicts.most_common())
        lines.append(f"| {name} | {said} | {_figures(of_case)} |")
    return "\n".join(lines)


def _figures(rows: Sequence[Row]) -> str:
    """The medians, each column of the table."""
    carried = [row.carried for row in rows if row.carried is not None]
    columns = [f"{statistics.median(carried):.2f}" if carried else "-"]
    for values in ([row.identity for row in rows], [row.obedience for row in rows]):
        medians = [statistics.median(each) for each in zip(*filter(None, values), strict=True)]
        columns.append(" / ".join(f"{median:.2f}" for median in medians) or "-")
    return " | ".join(columns)
