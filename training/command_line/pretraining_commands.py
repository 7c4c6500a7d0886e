"""The commands that rebuild what is bundled: the miniature's weights and the judge that reads its samples."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..miniature.backbone import WEIGHTS, MiniatureBackbone
from ..miniature.judge import WEIGHTS as JUDGE
from .declared_options import Seed
from .measurement_commands import require_positive
from .output_folder import require_writable

CHECKPOINTS = Path("output/pretraining")
ACCURACY_PICTURES = 2000  # that the judge is tested on
SAMPLES = 400  # of the miniature that the judge is tested on

Checkpoints = Annotated[
    Path,
    typer.Option(
        help="Where the run keeps what it has done. Start it again with the same folder and it goes on from there."
    ),
]


def pretrain(
    output: Annotated[Path, typer.Option(help="Where the weights go.")] = WEIGHTS,
    checkpoints: Checkpoints = CHECKPOINTS,
    steps: Annotated[
        int | None, typer.Option(help="Steps of the transformer; the default is what the bundled weights had.")
    ] = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the transformer's steps; needs a C++ compiler.")
    ] = False,
    seed: Seed = 0,
) -> None:
    """Rebuild the miniature's weights from a seed: draw its pictures, train its codec and its transformer."""
    from ..miniature.pretrain import PretrainingSettings, pretrain

    chosen = PretrainingSettings(seed=seed, compiled=compiled)
    require_positive(steps=1 if steps is None else steps)
    require_writable(output.parent)
    require_writable(checkpoints)
    pretrain(output, checkpoints, chosen if steps is None else replace(chosen, cycles=(steps,)), progress_lines())


def pretrain_judge(
    output: Annotated[Path, typer.Option(help="Where the judge's weights go.")] = JUDGE,
    weights: Annotated[
        Path, typer.Option(help="Weights of the miniature, whose codec the pictures go through.")
    ] = WEIGHTS,
    checkpoints: Checkpoints = CHECKPOINTS,
    steps: Annotated[int | None, typer.Option(help="Steps; the default is what the bundled judge had.")] = None,
) -> None:
    """Rebuild the judge that reads the samples, and print how well it reads pictures that it was not trained on."""
    from ..miniature.judge_accuracy import table
    from ..miniature.judge_training import JudgeSettings, pretrain_judge

    require_positive(steps=1 if steps is None else steps)
    require_writable(output.parent)
    require_writable(checkpoints)
    backbone = MiniatureBackbone(weights)
    chosen = JudgeSettings() if steps is None else JudgeSettings(steps=steps)
    judge = pretrain_judge(output, checkpoints, backbone.codec, chosen, progress_lines())
    typer.echo(table(judge, backbone, ACCURACY_PICTURES, SAMPLES))


def progress_lines() -> Callable[[str, int, int, float], None]:
    """Prints a line for each report of a pretraining, with the minutes since now."""
    started = time.monotonic()

    def show(stage: str, step: int, total: int, loss: float) -> None:
        typer.echo(f"{stage} {step}/{total}, loss {loss:.4f}, {(time.monotonic() - started) / 60:.1f} minutes")

    return show
