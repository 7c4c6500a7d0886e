"""The command `anima-fast-train`: the demo, training on the user's files, and the measurements of the README."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..context import ReferenceContext, write_atomically
from ..miniature import scene
from ..miniature.backbone import WEIGHTS, MiniatureBackbone
from ..miniature.judge import WEIGHTS as JUDGE
from ..reference_folder import ReferenceFile
from ..reference_list import ReferenceList
from ..settings import TrainingSettings
from . import outputs
from .measurements import add_measurements, require_positive
from .option_groups import read_framing
from .picture_commands import collage, preview_mask
from .settings_options import DEFAULTS, Seed
from .train_command import Output, train, train_and_write

DEMO = Path(__file__).parent / "demo"
ACCURACY_PICTURES = 2000  # that the judge is tested on

app = typer.Typer(
    help="Train masked context tokens: one picture, one mask, no dataset. Runs on a bundled miniature of Anima.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def demo(output: Output = Path("output/demo"), seed: Seed = DEFAULTS.seed) -> None:
    """Train on the bundled reference, a character that the miniature has never seen, and show what it learned."""
    prompt = (DEMO / "prompt.txt").read_text().strip()
    reference = ReferenceFile(DEMO / "reference.png", DEMO / "mask.png", caption=prompt)
    train_and_write(ReferenceList((reference,)), TrainingSettings(seed=seed), read_framing(), output)


app.command()(train)
app.command()(preview_mask)
app.command()(collage)


@app.command()
def inspect(context: Annotated[Path, typer.Argument(help="A context.safetensors.")]) -> None:
    """Print what a context holds."""
    loaded = ReferenceContext.load(context)
    typer.echo(f"tokens: {list(loaded.tokens.shape)} (blocks, tokens, context_dim)")
    if loaded.negative_tokens is not None:
        typer.echo(f"negative_tokens: {list(loaded.negative_tokens.shape)}")
    for name, value in vars(loaded.info).items():
        typer.echo(f"{name}: {value}")


@app.command()
def sample_reference(seed: Seed = 0, output: Output = Path("output/reference")) -> None:
    """Draw a new character, with colours and an accessory that the miniature has never seen, to try things out."""
    folder = outputs.require_writable(output)
    drawn = scene.draw_reference(seed)
    write_atomically(folder / "reference.png", outputs.png(drawn.picture))
    write_atomically(folder / "mask.png", outputs.png(drawn.mask))
    write_atomically(folder / "prompt.txt", (drawn.prompt + "\n").encode())
    typer.echo(f"{folder}: reference.png, mask.png, prompt.txt ({drawn.prompt})")


@app.command()
def pretrain(
    output: Annotated[Path, typer.Option(help="Where the weights go.")] = WEIGHTS,
    checkpoints: Annotated[
        Path, typer.Option(help="Where the run keeps what it has done. Start it again with the same folder and it goes on from there.")
    ] = Path("output/pretraining"),
    steps: Annotated[int | None, typer.Option(help="Steps of the transformer; the default is what the bundled weights had.")] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="Compile the transformer's steps; needs a C++ compiler.")] = False,
    seed: Seed = 0,
) -> None:
    """Rebuild the miniature's weights from a seed: draw its pictures, train its codec and its transformer."""
    from ..miniature.pretrain import PretrainingSettings, pretrain

    chosen = PretrainingSettings(seed=seed, compiled=compiled)
    require_positive(steps=1 if steps is None else steps)
    outputs.require_writable(output.parent)
    outputs.require_writable(checkpoints)
    pretrain(output, checkpoints, chosen if steps is None else replace(chosen, steps=steps), progress_lines())


@app.command()
def pretrain_judge(
    output: Annotated[Path, typer.Option(help="Where the judge's weights go.")] = JUDGE,
    weights: Annotated[Path, typer.Option(help="Weights of the miniature, whose codec the pictures go through.")] = WEIGHTS,
    checkpoints: Annotated[Path, typer.Option(help="Where the run keeps what it has done, to go on from.")] = Path("output/pretraining"),
    steps: Annotated[int | None, typer.Option(help="Steps; the default is what the bundled judge had.")] = None,
) -> None:
    """Rebuild the judge that reads the samples, and print how well it reads pictures that it was not trained on."""
    from ..miniature.judge_accuracy import accuracy
    from ..miniature.judge_training import JudgeSettings, pretrain_judge

    require_positive(steps=1 if steps is None else steps)
    outputs.require_writable(output.parent)
    outputs.require_writable(checkpoints)
    chosen, codec = JudgeSettings() if steps is None else JudgeSettings(steps=steps), MiniatureBackbone(weights).codec
    judge = pretrain_judge(output, checkpoints, codec, chosen, progress_lines())
    drawn, degraded = accuracy(judge, ACCURACY_PICTURES), accuracy(judge, ACCURACY_PICTURES, codec)
    for name, share in drawn.items():
        typer.echo(f"{name}: {share:.3f} as drawn, {degraded[name]:.3f} degraded")


def progress_lines() -> Callable[[str, int, int, float], None]:
    """Prints a line for each report of a pretraining, with the minutes since now."""
    started = time.monotonic()

    def show(stage: str, step: int, total: int, loss: float) -> None:
        typer.echo(f"{stage} {step}/{total}, loss {loss:.4f}, {(time.monotonic() - started) / 60:.1f} minutes")

    return show


add_measurements(app)


def main() -> None:
    """Bad input ends with one sentence and exit code 2."""
    try:
        app(standalone_mode=True)
    except (ValueError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(2) from error
