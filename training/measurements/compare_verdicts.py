"""Runs trainings whose end is known beforehand, and shows what the verdict says of each: where its thresholds come
from.

Beside the fall of the evaluation loss stands what an artist sees: how far samples still are from the reference inside
its mask, as a share of how far they are without a context.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..miniature.backbone import MiniatureBackbone
from ..miniature.scene import draw_reference
from ..reports.summary import verdict
from ..result import TrainingDiverged
from ..settings import TrainingSettings
from ..train_context import train_context_tokens
from .compare import FIRST_SEED, drawn_reference
from .sample_distance import distance_of_samples

GUIDANCE = 1.5
DEFAULTS = TrainingSettings()
CASES: dict[str, TrainingSettings] = {
    "far too low a rate": replace(DEFAULTS, steps=100, learning_rate="0.0005"),
    "10 steps": replace(DEFAULTS, steps=10),
    "25 steps": replace(DEFAULTS, steps=25),
    "60 steps": replace(DEFAULTS, steps=60),
    "60 steps, cut off while the rate is high": replace(DEFAULTS, steps=60, rate_shape="constant"),
    "150 steps": replace(DEFAULTS, steps=150),
    "the defaults": DEFAULTS,
    "four noises, learned by heart": replace(DEFAULTS, noise_pool=4, rate_shape="constant"),
    "far too high a rate": replace(DEFAULTS, steps=60, learning_rate="1000", token_norm="raw"),
}


@dataclass(frozen=True)
class Row:
    """fell: by how much of its value the evaluation loss inside the mask fell. distance: of samples, over that without
    a context."""

    case: str
    reference: int
    verdict: str
    fell: float | None
    distance: float | None


def measure(references: int, say: Callable[[str], None]) -> list[Row]:
    """One row for each case and reference."""
    backbone = MiniatureBackbone()
    rows = []
    for seed in range(FIRST_SEED, FIRST_SEED + references):
        scene, encoded = draw_reference(seed), drawn_reference(backbone, seed)
        without = distance_of_samples(backbone, scene, None, GUIDANCE)
        for name, settings in CASES.items():
            try:
                result = train_context_tokens(backbone, encoded, replace(settings, seed=seed))
            except TrainingDiverged:
                row = Row(name, seed, "diverged", None, None)
            else:
                fell = 1 - result.after.inside / result.before.inside
                row = Row(
                    name,
                    seed,
                    verdict(result),
                    fell,
                    distance_of_samples(backbone, scene, result.trained, GUIDANCE) / without,
                )
            rows.append(row)
            say(f"{name}, reference {seed}: fell {row.fell or 0:.0%}, distance {row.distance or 0:.2f}; {row.verdict}")
    return rows


def table(rows: list[Row]) -> str:
    """Markdown: the verdicts of each case by how often they came, the medians of fall and distance."""
    lines = ["| training | verdict | inside fell by | distance of samples |", "|---|---|---|---|"]
    for name in dict.fromkeys(row.case for row in rows):
        of_case = [row for row in rows if row.case == name]
        verdicts = Counter(row.verdict.partition(":")[0] for row in of_case)
        said = ", ".join(f"{words} ({count})" for words, count in verdicts.most_common())
        falls = [row.fell for row in of_case if row.fell is not None]
        distances = [row.distance for row in of_case if row.distance is not None]
        figures = f"{statistics.median(falls):.0%} | {statistics.median(distances):.2f}" if falls else "- | -"
        lines.append(f"| {name} | {said} | {figures} |")
    return "\n".join(lines)
