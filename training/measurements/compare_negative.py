"""Measures what negative tokens bring: how near guided samples come to the reference inside the mask, after equal
training time.

The guidance of sampling is that of the training (DreamArtist, Dong 2022, 2211.11337).
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from ..miniature.backbone import MiniatureBackbone
from ..miniature.scene import draw_reference
from ..settings import TrainingSettings
from .compare import FIRST_SEED, drawn_reference
from .equal_time import equal_steps, train_timed
from .sample_distance import distance_of_samples

NEGATIVE_TOKENS = 8


@dataclass(frozen=True)
class Row:
    """One training of one reference."""

    reference: int
    training: str
    steps: int
    seconds: float
    distance: float
    distance_without: float


def measure(references: int, steps: int, say: Callable[[str], None]) -> list[Row]:
    """Two rows for each reference; `steps` are those of the training with positive tokens alone, whose time the other
    gets."""
    backbone = MiniatureBackbone()
    rows = []
    for seed in range(FIRST_SEED, FIRST_SEED + references):
        scene, encoded = draw_reference(seed), drawn_reference(backbone, seed)
        positive = TrainingSettings(steps=steps, seed=seed)
        without = distance_of_samples(backbone, scene, None, positive.guidance)
        seconds, result = train_timed(backbone, encoded, positive)
        both = replace(positive, negative_tokens=NEGATIVE_TOKENS)
        both = replace(both, steps=equal_steps(backbone, (encoded, positive), (encoded, both)))
        took, other = train_timed(backbone, encoded, both)
        for name, settings, spent, learned in (
            ("positive only", positive, seconds, result),
            ("positive and negative", both, took, other),
        ):
            distance = distance_of_samples(backbone, scene, learned.trained, settings.guidance)
            rows.append(Row(seed, name, settings.steps, spent, distance, without))
            say(
                f"{name}, reference {seed}: {settings.steps} steps in {spent:.1f} s, distance {distance:.4f} (without "
                f"context {without:.4f})"
            )
    return rows


def table(rows: list[Row]) -> str:
    """Markdown with the median of each figure, and for how many references the second was nearer."""
    lines = ["| training | steps | seconds | distance to the reference | without context |", "|---|---|---|---|---|"]
    for name in dict.fromkeys(row.training for row in rows):
        of_training = [asdict(row) for row in rows if row.training == name]
        middle = {
            key: statistics.median(row[key] for row in of_training)
            for key in ("steps", "seconds", "distance", "distance_without")
        }
        lines.append(
            f"| {name} | {middle['steps']:.0f} | {middle['seconds']:.1f} | {middle['distance']:.4f} | "
            f"{middle['distance_without']:.4f} |"
        )
    pairs = list(zip(rows[::2], rows[1::2], strict=True))
    nearer = sum(both.distance < positive.distance for positive, both in pairs)
    return "\n".join(
        [*lines, "", f"Negative tokens brought guided samples nearer for {nearer} of {len(pairs)} references."]
    )
