"""The command `anima-fast-train`: the demo, training on the user's files, and the measurements of the README."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ...masking.wording import printable
from ..files.atomic_file import write_atomically
from ..miniature import scene
from ..references.reference_file import ReferenceFile
from ..references.reference_list import ReferenceList
from ..settings import TrainingSettings
from ..trainables.stored_context import load_context
from . import outputs
from .batch_command import batch
from .declared_options import DEFAULTS, Seed
from .errors import sentence_of
from .image_commands import collage, preview_mask
from .library_commands import card, library, soft_tokens
from .measurement_commands import add_measurements
from .option_groups import read_framing
from .output_folder import require_writable
from .pretraining_commands import judge_samples, pretrain, pretrain_judge
from .train_command import Output, train, train_and_write

# Of what `inspect` prints, in characters.
LONGEST_VALUE = 10_000
DEMO = Path(__file__).parent / "demo"
DEMO_STEPS = DEFAULTS.steps // 2

app = typer.Typer(
    help="Train masked context tokens: one picture, one mask, no dataset. Runs on a bundled miniature of Anima.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # or names in brackets, as in [filewords], would vanish from the help
)


@app.command()
def demo(output: Output = Path("output/demo"), seed: Seed = DEFAULTS.seed) -> None:
    """Train on the bundled reference, a character that the miniature has never seen, and show what it learned. It takes
    half of the default steps, to end within a minute."""
    prompt = (DEMO / "prompt.txt").read_text().strip()
    reference = ReferenceFile(DEMO / "reference.png", DEMO / "mask.png", caption=prompt)
    train_and_write(ReferenceList((reference,)), TrainingSettings(seed=seed, steps=DEMO_STEPS), read_framing(), output)


app.command()(train)
app.command()(batch)
app.command()(preview_mask)
app.command()(collage)


@app.command()
def inspect(context: Annotated[Path, typer.Argument(help="A context.safetensors, or a card.")]) -> None:
    """Print what a context or a card holds."""
    loaded = load_context(context)
    typer.echo(f"tokens: {list(loaded.positive.tokens.shape)} (blocks, tokens, context_dim)")
    if loaded.negative is not None:
        typer.echo(f"negative_tokens: {list(loaded.negative.tokens.shape)}")
    for name, value in vars(loaded.info).items():
        shown = json.dumps(value) if name == "settings" else value
        typer.echo(f"{name}: {printable(shown, LONGEST_VALUE)}")


@app.command()
def sample_reference(seed: Seed = 0, output: Output = Path("output/reference")) -> None:
    """Draw a new character, with colours and an accessory that the miniature has never seen, to try things out."""
    folder = require_writable(output)
    drawn = scene.draw_reference(seed)
    write_atomically(folder / "reference.png", outputs.png(drawn.picture))
    write_atomically(folder / "mask.png", outputs.png(drawn.mask))
    write_atomically(folder / "prompt.txt", (drawn.prompt + "\n").encode())
    typer.echo(f"{folder}: reference.png, mask.png, prompt.txt ({drawn.prompt})")


app.add_typer(library, name="library")
app.command()(card)
app.command()(soft_tokens)
app.command()(pretrain)
app.command()(pretrain_judge)
app.command()(judge_samples)
add_measurements(app)


def main() -> None:
    """Bad input, a full disk and full memory end with one sentence and exit code 2."""
    for stream in (sys.stdout, sys.stderr):  # names that are no UTF-8 are printed all the same
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        app(standalone_mode=True)
    except Exception as error:
        said = sentence_of(error)
        if said is None:
            raise
        typer.echo(f"error: {said}", err=True)
        raise SystemExit(2) from error
