"""Measures whether a context carries the character or the picture: in samples under other prompts, beside the same
samples without a context, true pictures of the character, and a training on six of them.

Rows that are already in the output folder, of the same recipe and the same weights, are not measured again.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import torch

from ..epsilon.worlds import WORLDS
from ..files.atomic_file import write_atomically
from ..miniature.judge import WEIGHTS as JUDGE
from . import carry_picture
from .carry_picture import NO_CONTEXT, TRUE_PICTURES, columns_of, keep_sheet
from .carry_runs import GUIDANCES, Row, measured_rows, train
from .carry_trainings import TRAININGS, Recipe
from .carry_yardstick import SAMPLING_STEPS, Yardstick, bundled_models
from .run_each import run_each

FIRST_SEED, SEEDS = 900, 10  # references that nothing was tuned on
RESULT = "carry.json"
VERSION = 5  # of what rows mean and how recipes train; those of another version are measured again
SHOWN_GUIDANCE = GUIDANCES[-1]  # in the pictures
Say = Callable[[str], None]
Key = tuple[int, str, float]


@dataclass(frozen=True)
class Task:
    """One training of one reference, and all that is measured of it; `folder` is where samples are kept.

    recipes: by the name of the row; all train the same, and differ in how they sample if at all.
    """

    seed: int
    recipes: dict[str, Recipe]
    folder: Path
    sampling_steps: int
    world: str = "miniature"


def measure(
    seeds: Sequence[int],
    folder: Path,
    say: Say,
    trainings: Mapping[str, Recipe] = TRAININGS,
    processes: int = 1,
    sampling_steps: int = SAMPLING_STEPS,
    world: str = "miniature",
) -> list[dict[str, Any]]:
    """The rows of these seeds and trainings. Each is kept in `folder` as soon as it is there, and a picture of each
    reference beside them; rows of other seeds and trainings that are there stay."""
    measured_with = stamp(sampling_steps, world)
    kept = _rows_in(folder, measured_with)
    missing = _missing(seeds, folder, trainings, kept)
    tasks = [Task(seed, recipes, folder, sampling_steps, world) for seed, recipes in missing]
    for _, rows in run_each(run_task, tasks, processes):
        for row in rows:
            kept[row.seed, row.training, row.guidance] = _plain(asdict(row) | {"stamp": measured_with})
            if row.guidance == SHOWN_GUIDANCE:
                say(_line(row))
        write_atomically(folder / RESULT, (json.dumps([*kept.values()], indent=1) + "\n").encode())
    wanted = [kept[seed, name, guidance] for seed in seeds for name in trainings for guidance in GUIDANCES]
    for number, seed in enumerate(seeds):
        page = carry_picture.picture(seed, _columns(folder, seed, trainings, wanted), SHOWN_GUIDANCE)
        for name in [f"carry_{seed}.png", *(["carry.png"] if number == 0 else [])]:
            write_atomically(folder / name, lambda beside, page=page: page.save(beside, "PNG"))  # type: ignore[misc]
    return wanted


@cache
def stamp(sampling_steps: int, world: str = "miniature") -> str:
    """What rows are measured with: their meaning, the model, the judge and how samples are drawn."""
    digest = hashlib.sha256(WORLDS[world].weights.read_bytes() + JUDGE.read_bytes()).hexdigest()[:16]
    return f"version {VERSION}, weights {digest}, {sampling_steps} sampling steps"


def _missing(
    seeds: Sequence[int], folder: Path, trainings: Mapping[str, Recipe], kept: Mapping[Key, dict[str, Any]]
) -> list[tuple[int, dict[str, Recipe]]]:
    """What is not kept yet: the reference, and the recipes of each training by name."""
    found = []
    for seed in seeds:
        missing: dict[Recipe, dict[str, Recipe]] = {}
        for name, recipe in trainings.items():
            record = _plain(recipe.record())
            rows = [kept.get((seed, name, guidance), {}) for guidance in GUIDANCES]
            there = sheet_path(folder, seed, name).exists()
            if not there or any(row.get("recipe") != record for row in rows):
                missing.setdefault(recipe.training, {})[name] = recipe
        found += [(seed, recipes) for recipes in missing.values()]
    return found


def run_task(task: Task) -> list[Row]:
    """Trains and measures, and keeps the samples; the rows of all names."""
    yard = _yardstick(task.seed, task.sampling_steps, task.world)

    def keep(names: Sequence[str], guidance: float, samples: torch.Tensor) -> None:
        for name in names if guidance == SHOWN_GUIDANCE else ():
            keep_sheet(sheet_path(task.folder, task.seed, name), samples)

    keep([TRUE_PICTURES], SHOWN_GUIDANCE, yard.truths)
    keep([NO_CONTEXT], SHOWN_GUIDANCE, yard.base(SHOWN_GUIDANCE)[0])
    names: dict[Recipe, list[str]] = {}
    for name, recipe in task.recipes.items():
        names.setdefault(recipe, []).append(name)
    result = train(yard, next(iter(names)))
    found = []
    for recipe, alike in names.items():
        rows = measured_rows(yard, alike[0], recipe, result, partial(keep, alike))
        found += [replace(row, training=name) for name in alike for row in rows]
    return found


@lru_cache(maxsize=1)
def _yardstick(seed: int, sampling_steps: int, world: str) -> Yardstick:
    return Yardstick(*bundled_models(world), seed, sampling_steps)


def sheet_path(folder: Path, seed: int, training: str) -> Path:
    """Where the samples of a training are kept."""
    return folder / "samples" / str(seed) / f"{re.sub(r'[^A-Za-z0-9]+', '_', training)}.png"


def _columns(
    folder: Path, seed: int, trainings: Mapping[str, Recipe], rows: Sequence[Mapping[str, Any]]
) -> list[carry_picture.Column]:
    sheets = {name: sheet_path(folder, seed, name) for name in (TRUE_PICTURES, NO_CONTEXT, *trainings)}
    return columns_of(sheets, [row for row in rows if (row["seed"], row["guidance"]) == (seed, SHOWN_GUIDANCE)])


def _rows_in(folder: Path, measured_with: str) -> dict[Key, dict[str, Any]]:
    """The rows of an earlier run that were measured in the same way. Raises ValueError where the file is no such."""
    path = folder / RESULT
    if not path.exists():
        return {}
    try:
        rows = [row for row in json.loads(path.read_text()) if row.get("stamp") == measured_with]
        return {(row["seed"], row["training"], row["guidance"]): row for row in rows}
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        raise ValueError(f"{path} holds no rows of compare-carry, expected another output folder") from error


def _plain(values: Any) -> Any:
    """As it comes back from JSON, which has no NaN."""
    if isinstance(values, dict):
        return {name: _plain(value) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [_plain(value) for value in values]
    return None if isinstance(values, float) and not math.isfinite(values) else values


def _line(row: Row) -> str:
    return (
        f"reference {row.seed}, {row.training}: at guidance {row.guidance:g} identity {row.identity:.2f}, "
        f"obedience {row.obedience:.2f}, freedom {row.freedom:.2f}"
    )
