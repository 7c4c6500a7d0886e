"""Trains the variants of the README's table on the same references, so that what is on and what is offered has to earn
its place."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch

from ...masking.framing import Framing
from ...masking.pixels import tensor_of
from ..evaluation import EvaluationGrid
from ..miniature.backbone import MiniatureBackbone
from ..miniature.scene import SIDE, Scene, draw_elsewhere, draw_reference
from ..references.augmentation import Augmentation, ImageAugmentation
from ..references.encode import EncodedReference, encode_references
from ..references.reference import make_reference
from ..settings import TrainingSettings
from ..train_context import train_context_tokens

FIRST_SEED = 100
PLAIN = TrainingSettings(
    steps=200, num_tokens=4, learning_rate="0.02", rate_shape="constant", prior_weight=0.0, balance_prior=False
)
ELSEWHERE = 6  # scenes that nothing was trained on
GRID_ENTRIES = 48


@dataclass(frozen=True)
class Variant:
    settings: TrainingSettings = TrainingSettings()
    images: ImageAugmentation = ImageAugmentation()


CROPS = ImageAugmentation(random_crop=0.3)
VARIANTS: dict[str, Variant] = {
    "masked loss alone": Variant(PLAIN),
    "no mask at all": Variant(replace(PLAIN, unmasked_weight=1.0)),
    "prior preservation 1": Variant(replace(PLAIN, prior_weight=1.0)),
    "prior preservation 4": Variant(replace(PLAIN, prior_weight=4.0)),
    "prior preservation 1, 8 tokens": Variant(replace(PLAIN, prior_weight=1.0, num_tokens=8)),
    "the defaults": Variant(),
    "the defaults, plain backgrounds": Variant(images=ImageAugmentation(backgrounds="plain colours")),
    "the defaults, noise backgrounds": Variant(images=ImageAugmentation(backgrounds="noise")),
    "the defaults, random crop 0.3": Variant(images=CROPS),
    "the defaults, random crop 0.3, noise backgrounds": Variant(images=replace(CROPS, backgrounds="noise")),
}


def drawn_reference(
    backbone: MiniatureBackbone, seed: int, images: ImageAugmentation = ImageAugmentation()
) -> list[EncodedReference]:
    """The reference of `sample-reference --seed`, encoded."""
    return encoded_scenes(backbone, [draw_reference(seed)], images, torch.Generator().manual_seed(seed))


def encoded_scenes(
    backbone: MiniatureBackbone, scenes: Iterable[Scene], images: ImageAugmentation, generator: torch.Generator
) -> list[EncodedReference]:
    references = [make_reference(tensor_of(drawn.picture), tensor_of(drawn.mask), drawn.prompt) for drawn in scenes]
    return encode_references(backbone, references, Framing(size=SIDE), "area", Augmentation(images=images), generator)


def elsewhere_grid(backbone: MiniatureBackbone, seed: int) -> EvaluationGrid:
    """The same character in other poses before other backgrounds, each under its own prompt."""
    scenes = [draw_elsewhere(seed, number) for number in range(ELSEWHERE)]
    return EvaluationGrid(
        backbone, encoded_scenes(backbone, scenes, ImageAugmentation(), torch.Generator()), GRID_ENTRIES
    )


def measure(seeds: int, say: Callable[[str], None]) -> list[dict[str, object]]:
    """One row for each variant and reference: the evaluation, the seconds and the settings.

    `elsewhere` is the evaluation loss inside the mask in other scenes with the same character over that of the model
    without context.
    """
    backbone = MiniatureBackbone()
    rows: list[dict[str, object]] = []
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        grid = elsewhere_grid(backbone, seed)
        for name, variant in VARIANTS.items():
            settings = replace(variant.settings, seed=seed)
            result = train_context_tokens(backbone, drawn_reference(backbone, seed, variant.images), settings)
            before, after = result.before, result.after
            elsewhere = grid.measure(result.trained.positive.at)
            rows.append(
                {
                    "variant": name,
                    "reference": seed,
                    "inside_before": before.inside,
                    "inside_after": after.inside,
                    "outside_before": before.outside,
                    "outside_after": after.outside,
                    "leak": after.leak,
                    "elsewhere": elsewhere.inside / grid.before.inside,
                    "elsewhere_leak": elsewhere.leak,
                    "seconds": result.seconds,
                    "settings": settings.to_record(),
                }
            )
            say(f"{name}, reference {seed}: inside {before.inside:.2f} -> {after.inside:.2f}, leak {after.leak:.2f}")
    return rows


def table(rows: list[dict[str, object]]) -> str:
    """Markdown with the median of each figure."""
    columns = (
        "inside_before",
        "inside_after",
        "outside_before",
        "outside_after",
        "leak",
        "elsewhere",
        "elsewhere_leak",
        "seconds",
    )
    lines = [
        "| training | " + " | ".join(column.replace("_", " ") for column in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for name in dict.fromkeys(str(row["variant"]) for row in rows):
        of_variant = [row for row in rows if row["variant"] == name]
        medians = [statistics.median(float(str(row[column])) for row in of_variant) for column in columns]
        lines.append(f"| {name} | " + " | ".join(f"{value:.2f}" for value in medians[:-1]) + f" | {medians[-1]:.1f} |")
    return "\n".join(lines)
