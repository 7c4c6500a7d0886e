"""What `train` shows and keeps while it runs: progress, previews, checkpoints and event files. None of it ends a
run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image
from tqdm import tqdm

from ...masking.wording import printable
from ..files.atomic_file import write_atomically
from ..miniature.backbone import DrawnBackbone, sample, to_pictures
from ..result import StepReport
from ..resuming.run_state import CheckpointPlan, TrainingState
from ..trainables.trainable import Trained
from .errors import is_out_of_memory
from .outputs import png
from .stopping_signals import Stopping

CHECKPOINT = "checkpoint.safetensors"
EVENTS = "events"  # the folder of TensorBoard's files
PREVIEW_SEEDS, PREVIEW_STEPS = (1, 2), 8

Callback = Callable[[StepReport], None]


@dataclass(frozen=True)
class Watching:
    """Intervals are in steps; 0 leaves previews out, and keeps a checkpoint only where the run is stopped."""

    checkpoint_every: int = 0
    preview_every: int = 0
    resume: Path | None = None

    def __post_init__(self) -> None:
        for name, value in (("checkpoint-every", self.checkpoint_every), ("preview-every", self.preview_every)):
            if value < 0:
                raise ValueError(f"{name} is {value}, expected 0 or more")

    def plan(self, folder: Path, steps: int) -> CheckpointPlan:
        return CheckpointPlan(folder / CHECKPOINT, self.checkpoint_every or steps + 1)

    def resumed_state(self) -> TrainingState | None:
        """Raises ValueError where the file is no whole checkpoint."""
        return None if self.resume is None else TrainingState.load(self.resume)


def read_watching(
    checkpoint_every: Annotated[
        int,
        typer.Option(help=f"Write {CHECKPOINT} after every so many steps; 0 writes it only when the run is stopped."),
    ] = 0,
    preview_every: Annotated[
        int,
        typer.Option(
            help="Draw pictures with the tokens of the moment after every so many steps, and keep those tokens; "
            "0 does not."
        ),
    ] = 0,
    resume: Annotated[
        Path | None, typer.Option(help=f"A {CHECKPOINT} to go on from, to the same tokens as without the pause.")
    ] = None,
) -> Watching:
    return Watching(checkpoint_every, preview_every, resume)


@contextmanager
def watched(
    folder: Path,
    backbone: DrawnBackbone,
    prompt: str,
    size: tuple[int, int],
    watching: Watching,
    steps: int,
    stopping: Stopping,
) -> Iterator[Callback]:
    """The callback for a run into `folder`. Raises Stopped after the step in which a signal came; before the end of the
    first step there is nothing to keep, and a signal does not wait."""
    with ExitStack() as entered:
        bar = entered.enter_context(tqdm(total=steps, unit="step", disable=None))
        callbacks = [until_it_fails("progress", shown_on(bar))]
        callbacks += [until_it_fails("event files", one) for one in entered.enter_context(event_files(folder / EVENTS))]
        if watching.preview_every:
            draw = previews(folder, backbone, prompt, size, watching.preview_every)
            callbacks.append(until_it_fails("previews", draw))

        def on_step(report: StepReport) -> None:
            stopping.hold_back()
            for callback in callbacks:
                callback(report)
            stopping.check()

        yield on_step


def until_it_fails(what: str, callback: Callback) -> Callback:
    """The callback, which is not called again once the disk or the memory refused it; training goes on."""
    failed = False

    def call(report: StepReport) -> None:
        nonlocal failed
        if failed:
            return
        try:
            callback(report)
        except Exception as error:
            if not (isinstance(error, OSError | ValueError) or is_out_of_memory(error)):
                raise
            failed = True
            with suppress(OSError):  # the terminal itself may be gone
                tqdm.write(f"no more {what} from step {report.step} on: {printable(error, 200)}", file=sys.stderr)

    return call


def shown_on(bar: Any) -> Callback:
    def show(report: StepReport) -> None:
        bar.set_postfix(loss=f"{report.loss:.3f}", refresh=False)
        bar.update(report.step - bar.n)

    return show


def previews(folder: Path, backbone: DrawnBackbone, prompt: str, size: tuple[int, int], every: int) -> Callback:
    """Writes preview_000100.png, always of the same seeds, and context_000100.safetensors, or lora_000100."""

    def draw(report: StepReport) -> None:
        if report.step % every == 0:
            trained = report.trained()
            trained.save(folder / f"{trained.noun.lower()}_{report.step:06}.safetensors")
            write_atomically(folder / f"preview_{report.step:06}.png", png(preview(backbone, prompt, size, trained)))

    return draw


def preview(backbone: DrawnBackbone, prompt: str, size: tuple[int, int], trained: Trained) -> Image.Image:
    """What it draws under its training prompt, one picture beside the other; size is (width, height)."""
    images = to_pictures(sample(backbone, prompt, PREVIEW_SEEDS, size, context=trained, steps=PREVIEW_STEPS))
    sheet = Image.new("RGB", (size[0] * len(images), size[1]))
    for number, image in enumerate(images):
        sheet.paste(image, (size[0] * number, 0))
    return sheet


@contextmanager
def event_files(folder: Path) -> Iterator[list[Callback]]:
    """A callback that writes what TensorBoard plots; none where the package tensorboard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        yield []
        return
    entered = ExitStack()
    try:
        writer = entered.enter_context(SummaryWriter(str(folder)))
    except OSError as error:
        typer.echo(f"no event files: {printable(error, 200)}", err=True)
        yield []
        return
    try:

        def write(report: StepReport) -> None:
            measured = report.evaluation
            values = {"loss/masked": report.loss, "loss/prior": report.prior, "learning_rate": report.learning_rate}
            if measured is not None:
                values |= {
                    "evaluation/inside": measured.inside,
                    "evaluation/outside": measured.outside,
                    "evaluation/leak": measured.leak,
                }
            for name, value in values.items():
                writer.add_scalar(name, value, report.step)

        yield [write]
    finally:
        with suppress(OSError):  # a full disk
            entered.close()
