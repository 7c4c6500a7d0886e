"""The commands that repeat the measurements of the README. Each keeps its rows as JSON, writes a line for each as it
goes and prints a table."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ..epsilon.worlds import WORLD_HELP, world_called
from ..files.atomic_file import write_atomically
from ..measurements import (
    carry_table,
    compare,
    compare_carry,
    compare_crop,
    compare_estimates,
    compare_negative,
    compare_regions,
    compare_steps,
    compare_verdicts,
)
from ..measurements.carry_trainings import AT_HOME, TRAININGS
from ..measurements.carry_yardstick import SAMPLING_STEPS
from .declared_options import DEFAULTS
from .measuring import require_positive, say
from .output_folder import require_writable
from .speed_commands import bench_command, bench_endurance_command, bench_scale_command, estimate_command
from .train_command import Output

Seeds = Annotated[int, typer.Option(help="How many references, drawn with seeds 100, 101 and so on.")]
Processes = Annotated[int, typer.Option(help="Trainings that run at the same time, a processor each.")]
SamplingSteps = Annotated[int, typer.Option(help="Steps of every sample.")]
Say = Callable[[str], None]


def add_measurements(app: typer.Typer) -> None:
    commands: dict[str, Callable[..., None]] = {
        "compare": compare_command,
        "compare-steps": compare_steps_command,
        "compare-crop": compare_crop_command,
        "compare-negative": compare_negative_command,
        "compare-verdicts": compare_verdicts_command,
        "compare-carry": compare_carry_command,
        "compare-estimates": compare_estimates_command,
        "compare-regions": compare_regions_command,
        "bench": bench_command,
        "bench-scale": bench_scale_command,
        "bench-endurance": bench_endurance_command,
        "estimate": estimate_command,
    }
    for name, command in commands.items():
        app.command(name)(command)


def measure_and_print(
    name: str, output: Path, measure: Callable[[Say], Sequence[Any]], table: Callable[[Any], str]
) -> None:
    """Measures, keeps the rows in `output` as NAME.json and prints their table."""
    folder = require_writable(output)
    rows = measure(say)
    plain = [asdict(row) if is_dataclass(row) and not isinstance(row, type) else row for row in rows]
    write_atomically(folder / f"{name}.json", (json.dumps(plain, indent=2) + "\n").encode())
    typer.echo(table(rows))


def compare_command(seeds: Seeds = 10, output: Output = Path("output/compare")) -> None:
    """Train every variant of the README's table on the same references and print the medians."""
    require_positive(seeds=seeds)
    measure_and_print("compare", output, lambda say: compare.measure(seeds, say), compare.table)


def compare_steps_command(seeds: Seeds = 10, output: Output = Path("output/compare-steps")) -> None:
    """Count the steps that each technique needs to reach what plain settings reach in a whole run."""
    require_positive(seeds=seeds)
    measure_and_print("compare-steps", output, lambda say: compare_steps.measure(seeds, say), compare_steps.table)


def compare_crop_command(
    references: Annotated[int, typer.Option(help="How many pictures, drawn with seeds 300, 301 and so on.")] = 5,
    steps: Annotated[
        int, typer.Option(help="Steps of the cropped training, whose time the others get too.")
    ] = DEFAULTS.steps,
    output: Output = Path("output/compare-crop"),
) -> None:
    """Measure what cropping to a small subject brings: tokens a step, and the loss after the same time."""
    require_positive(references=references, steps=steps)
    measure_and_print(
        "compare-crop", output, lambda say: compare_crop.measure(references, steps, say), compare_crop.report
    )


def compare_negative_command(
    seeds: Seeds = 10,
    steps: Annotated[
        int, typer.Option(help="Steps of the training without negative tokens, whose time the other gets too.")
    ] = DEFAULTS.steps,
    output: Output = Path("output/compare-negative"),
) -> None:
    """Measure whether negative tokens bring guided samples nearer to the reference after the same time."""
    require_positive(seeds=seeds, steps=steps)
    measure_and_print(
        "compare-negative", output, lambda say: compare_negative.measure(seeds, steps, say), compare_negative.table
    )


def compare_verdicts_command(
    seeds: Seeds = 5, sampling_steps: SamplingSteps = SAMPLING_STEPS, output: Output = Path("output/compare-verdicts")
) -> None:
    """Show what the verdict says of trainings whose end is known beforehand, beside what an artist sees."""
    require_positive(seeds=seeds, sampling_steps=sampling_steps)
    measure_and_print(
        "compare-verdicts",
        output,
        lambda say: compare_verdicts.measure(seeds, sampling_steps, say),
        compare_verdicts.table,
    )


def compare_carry_command(
    seed: Annotated[
        list[int] | None,
        typer.Option(min=0, help="A reference; repeat the option for several. The default are ten from 900 on."),
    ] = None,
    training: Annotated[
        list[str] | None, typer.Option(help=f"One of: {', '.join(TRAININGS)}; repeat the option for several.")
    ] = None,
    world: Annotated[str, typer.Option(help=WORLD_HELP)] = "miniature",
    processes: Processes = 2,
    sampling_steps: SamplingSteps = SAMPLING_STEPS,
    output: Output = Path("output/compare-carry"),
) -> None:
    """Measure whether contexts carry the character or the picture: identity, obedience and freedom of samples under
    other prompts. Rows that are in the output folder already are not measured again."""
    require_positive(processes=processes, sampling_steps=sampling_steps)
    for name in training or ():
        if name not in TRAININGS:
            raise ValueError(f"training is {name!r}, expected one of: {', '.join(TRAININGS)}")
    world_called(world)
    chosen = {name: TRAININGS[name] for name in training or TRAININGS if AT_HOME.get(name, world) == world}
    seeds = list(dict.fromkeys(seed or range(compare_carry.FIRST_SEED, compare_carry.FIRST_SEED + compare_carry.SEEDS)))
    folder = require_writable(output)
    rows = compare_carry.measure(seeds, folder, say, chosen, processes, sampling_steps, world)
    typer.echo(carry_table.table(rows))


def compare_estimates_command(
    runs: Annotated[int, typer.Option(help="How many trainings, each of settings by chance.")] = compare_estimates.RUNS,
    processes: Processes = 2,
    sampling_steps: SamplingSteps = SAMPLING_STEPS,
    output: Output = Path("output/compare-estimates"),
) -> None:
    """Ask whether the verdict, which knows one picture alone, ranks trainings as their samples do."""
    require_positive(runs=runs, processes=processes, sampling_steps=sampling_steps)
    measure_and_print(
        "compare-estimates",
        output,
        lambda say: compare_estimates.measure(runs, processes, sampling_steps, say),
        compare_estimates.table,
    )


def compare_regions_command(
    pairs: Annotated[int, typer.Option(help="How many pairs of references.")] = compare_regions.PAIRS,
    processes: Processes = 2,
    sampling_steps: SamplingSteps = SAMPLING_STEPS,
    output: Output = Path("output/compare-regions"),
) -> None:
    """Draw two characters into one picture, each on its own half, and measure whether each stays there."""
    require_positive(pairs=pairs, processes=processes, sampling_steps=sampling_steps)
    measure_and_print(
        "compare-regions",
        output,
        lambda say: compare_regions.measure(pairs, output, processes, sampling_steps, say),
        compare_regions.table,
    )
