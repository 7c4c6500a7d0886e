"""Trains the variants of the README's table on the same references, so that prior preservation has to earn its place."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict, replace

import numpy
import torch

from ..encode import EncodedReference, encode_references
from ..miniature.backbone import MiniatureBackbone
from ..miniature.scene import SIDE, draw_reference
from ..reference import Framing, make_reference
from ..settings import TrainingSettings
from ..trainer import train_context_tokens

FIRST_SEED = 100
PLAIN = TrainingSettings(steps=200, num_tokens=4, learning_rate="0.02", rate_shape="constant", prior_weight=0.0, balance_prior=False)
VARIANTS: dict[str, TrainingSettings] = {
    "masked loss alone": PLAIN,
    "no mask at all": replace(PLAIN, unmasked_weight=1.0),
    "prior preservation 1": replace(PLAIN, prior_weight=1.0),
    "prior preservation 4": replace(PLAIN, prior_weight=4.0),
    "prior preservation 1, 8 tokens": replace(PLAIN, prior_weight=1.0, num_tokens=8),
    "the defaults": TrainingSettings(),
}


def drawn_reference(backbone: MiniatureBackbone, seed: int) -> list[EncodedReference]:
    """The reference of `sample-reference --seed`, encoded."""
    drawn = draw_reference(seed)
    image = torch.from_numpy(numpy.array(drawn.picture)).float() / 255
    reference = make_reference(image, torch.from_numpy(numpy.array(drawn.mask)), drawn.prompt, name=f"reference {seed}")
    return encode_references(backbone, [reference], Framing(size=SIDE))


def measure(seeds: int, say: Callable[[str], None]) -> list[dict[str, object]]:
    """One row for each variant and reference: the evaluation, the seconds and the settings."""
    backbone = MiniatureBackbone()
    rows: list[dict[str, object]] = []
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        references = drawn_reference(backbone, seed)
        for name, settings in VARIANTS.items():
            result = train_context_tokens(backbone, references, replace(settings, seed=seed))
            before, after = result.before, result.after
            rows.append(
                {
                    "variant": name,
                    "reference": seed,
                    "inside_before": before.inside,
                    "inside_after": after.inside,
                    "outside_before": before.outside,
                    "outside_after": after.outside,
                    "leak": after.leak,
                    "seconds": result.seconds,
                    "settings": asdict(settings),
                }
            )
            say(f"{name}, reference {seed}: inside {before.inside:.2f} -> {after.inside:.2f}, leak {after.leak:.2f}")
    return rows


def table(rows: list[dict[str, object]]) -> str:
    """Markdown with the median of each figure."""
    columns = ("inside_before", "inside_after", "outside_before", "outside_after", "leak", "seconds")
    titles = ("inside before", "inside after", "outside before", "outside after", "leak", "seconds")
    lines = ["| training | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
    for name in dict.fromkeys(str(row["variant"]) for row in rows):
        of_variant = [row for row in rows if row["variant"] == name]
        medians = [statistics.median(float(str(row[column])) for row in of_variant) for column in columns]
        lines.append(f"| {name} | " + " | ".join(f"{value:.2f}" for value in medians[:-1]) + f" | {medians[-1]:.1f} |")
    return "\n".join(lines)
