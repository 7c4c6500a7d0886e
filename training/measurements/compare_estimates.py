"""Asks whether what a training says of itself, from one picture and without ground truth, ranks trainings as samples
do.

Trainings of very different settings are each judged twice: by the views that training holds back, as the verdict does
it, and by the judge that reads samples under other prompts. Rank correlations (Spearman) of the two tell how far the
verdict is to be trusted.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from ..evaluation import EvaluationGrid
from ..references.augmentation import ImageAugmentation
from .carry_runs import shown_and_obeyed, train
from .carry_trainings import DEFAULTS, TODAY, Recipe
from .carry_yardstick import GRID_ENTRIES, Yardstick, bundled_models, encoded_scenes
from .run_each import run_each

FIRST_SEED, REFERENCES = 800, 6
RUNS = 60
STEPS = (10, 300)
RATES = (0.01, 1.0)  # in units of the prompt's vectors


@dataclass(frozen=True)
class Row:
    """carried: of what the model lacked, what is supplied on the reference and on views that training never saw. fell:
    by how much of its value the evaluation loss on the latter fell. moved: the leak there. identity, obedience: of
    samples, means over `GUIDANCES`."""

    reference: int
    number: int
    said: str
    carried: float
    fell: float
    moved: float
    identity: float
    obedience: float


def draw_recipe(number: int) -> Recipe:
    """The settings of a run by its number, each by chance: short and long ones, too high and too low rates, with and
    without what keeps the background free."""
    rng = random.Random(f"estimates {number}")
    steps, rate = round(_logarithmic(rng, *STEPS)), f"{_logarithmic(rng, *RATES):.3g}"
    recipe = rng.choice((DEFAULTS, TODAY)).but(
        steps=steps,
        evaluations=1,
        token_norm=rng.choice(("prompt", "unbounded")),
        learning_rate=rng.choice(("auto", rate, rate)),
        num_tokens=rng.choice((2, 8, 16, 32)),
        prior_weight=rng.choice((0.0, 0.4, 1.6, 5.0)),
        cut_paste=rng.choice((0.0, 0.5, 0.75, 1.0)),
        backgrounds=rng.choice(("drawn", "plain colours", "noise")),
    )
    return recipe.but(pictures=6) if rng.random() < 0.2 else recipe


def measure(runs: int, processes: int, sampling_steps: int, say: Callable[[str], None]) -> list[Row]:
    """A row for each run, in their order; every reference gets equally many, as far as that is possible."""
    rows = []
    numbers = sorted(range(runs), key=lambda number: number % REFERENCES)
    for number, row in run_each(partial(run_one, sampling_steps=sampling_steps), numbers, processes):
        rows.append(row)
        say(
            f"{len(rows)}/{runs}: run {number}, reference {row.reference}, {row.said}: carried {row.carried:.3f}, "
            f"fell {row.fell:.2f}, moved {row.moved:.2f}; identity {row.identity:.2f}, obedience {row.obedience:.2f}"
        )
    return sorted(rows, key=lambda row: row.number)


def run_one(number: int, sampling_steps: int) -> Row:
    """Trains by the recipe of this number, and judges it in both ways."""
    recipe = draw_recipe(number)
    yard, grid = _judged_by(FIRST_SEED + number % REFERENCES, sampling_steps)
    result = train(yard, recipe)
    after = grid.measure(result.trained.positive.at)
    assert after.unseen is not None and after.unseen_leak is not None and grid.before.unseen is not None
    assert after.carried is not None  # the grid has held-back views
    identity, obedience = shown_and_obeyed(yard, result.trained)
    return Row(
        yard.seed,
        number,
        _told(recipe),
        after.carried,
        1 - after.unseen / grid.before.unseen,
        after.unseen_leak,
        statistics.fmean(identity),
        statistics.fmean(obedience),
    )


def table(rows: Sequence[Row]) -> str:
    """Markdown: the rank correlations over all runs, and the median of those of each reference alone."""
    pairs = {
        "carried, identity": [(row.carried, row.identity) for row in rows],
        "fell, identity": [(row.fell, row.identity) for row in rows],
        "moved, obedience": [(-row.moved, row.obedience) for row in rows],
    }
    lines = [
        f"{len(rows)} runs of {len({row.reference for row in rows})} references.",
        "",
        "| estimate, what samples show | rank correlation | median of single references |",
        "|---|---|---|",
    ]
    for name, values in pairs.items():
        alone = [
            spearman([value for value, row in zip(values, rows, strict=True) if row.reference == reference])
            for reference in dict.fromkeys(row.reference for row in rows)
        ]
        lines.append(f"| {name} | {spearman(values):.2f} | {statistics.median(alone):.2f} |")
    return "\n".join(lines)


def spearman(pairs: Sequence[tuple[float, float]]) -> float:
    """The rank correlation of pairs, equal values sharing their ranks; NaN where it has none."""
    one, other = (_ranks([pair[side] for pair in pairs]) for side in (0, 1))
    if len(set(one)) < 2 or len(set(other)) < 2:
        return math.nan
    return statistics.correlation(one, other)


def _ranks(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    return [ordered.index(value) + (ordered.count(value) - 1) / 2 for value in values]


@lru_cache(maxsize=1)
def _judged_by(seed: int, sampling_steps: int) -> tuple[Yardstick, EvaluationGrid]:
    """The yardstick of a reference, and the grid over its views as the defaults hold them back."""
    yard = Yardstick(*bundled_models(), seed, sampling_steps)
    encoded = encoded_scenes(yard.backbone, [yard.reference], ImageAugmentation(), seed)
    return yard, EvaluationGrid(yard.backbone, encoded, 2 * GRID_ENTRIES)


def _logarithmic(rng: random.Random, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def _told(recipe: Recipe) -> str:
    settings, images = recipe.settings, recipe.images
    return (
        f"{settings.steps} steps at rate {settings.learning_rate}, {settings.num_tokens} tokens "
        f"({settings.token_norm}), cut_paste {images.cut_paste:g} before {images.backgrounds}, "
        f"prior_weight {settings.prior_weight:g}, {recipe.pictures} picture{'' if recipe.pictures == 1 else 's'}"
    )
