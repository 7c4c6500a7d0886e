"""The commands that rebuild what is bundled: the miniature's weights and the judge that reads its samples."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..epsilon.worlds import WORLD_HELP, world_called
from ..miniature.backbone import WEIGHTS, MiniatureBackbone
from ..miniature.judge import WEIGHTS as JUDGE
from .declared_options import Seed
from .measuring import require_positive
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
    world: Annotated[str, typer.Option(help=WORLD_HELP)] = "miniature",
    output: Annotated[
        Path | None, typer.Option(help="Where the weights go; the default is where the bundled ones are.")
    ] = None,
    checkpoints: Checkpoints = CHECKPOINTS,
    steps: Annotated[
        int | None, typer.Option(help="Steps of the denoiser; the default is what the bundled weights had.")
    ] = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the denoiser's steps; needs a C++ compiler.")
    ] = False,
    seed: Seed = 0,
) -> None:
    """Rebuild the weights of the miniature or of the epsilon world from a seed: draw the pictures, and train."""
    from ..epsilon import pretrain as epsilon
    from ..miniature import pretrain as miniature

    require_positive(steps=1 if steps is None else steps)
    path = output or world_called(world).weights
    require_writable(path.parent)
    require_writable(checkpoints)
    if world == "epsilon":
        chosen = epsilon.UNetSettings(seed=seed, compiled=compiled)
        chosen = chosen if steps is None else replace(chosen, cycles=(steps,))
        epsilon.pretrain(path, checkpoints, chosen, progress_lines())
        return
    settings = miniature.PretrainingSettings(seed=seed, compiled=compiled)
    settings = settings if steps is None else replace(settings, cycles=(steps,))
    miniature.pretrain(path, checkpoints, settings, progress_lines())


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


def judge_samples(
    world: Annotated[str, typer.Option(help=WORLD_HELP)] = "miniature",
    samples: Annotated[int, typer.Option(help="How many captions are drawn, one sample each.")] = SAMPLES,
    guidance: Annotated[float | None, typer.Option(help="Of the samples; the default is the model's own.")] = None,
) -> None:
    """Print how often samples of a bundled model show what their captions say, as the judge reads them."""
    from ..miniature.judge import Judge
    from ..miniature.judge_accuracy import agreement_with_captions

    require_positive(samples=samples)
    backbone = world_called(world).load()
    chosen = backbone.guidance if guidance is None else guidance
    shares = agreement_with_captions(Judge.load(), backbone, samples, guidance=chosen)
    typer.echo(
        "\n".join(["| read | as captions say |", "|---|---|", *(f"| {n} | {s:.2f} |" for n, s in shares.items())])
    )


def progress_lines() -> Callable[[str, int, int, float], None]:
    """Prints a line for each report of a pretraining, with the minutes since now."""
    started = time.monotonic()

    def show(stage: str, step: int, total: int, loss: float) -> None:
        typer.echo(f"{stage} {step}/{total}, loss {loss:.4f}, {(time.monotonic() - started) / 60:.1f} minutes")

    return show
