"""What `train` shows and keeps while it runs: progress, previews, checkpoints, event files, and an end by Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from PIL import Image
from tqdm import tqdm

from ..atomic_file import write_atomically
from ..miniature.backbone import MiniatureBackbone, sample, to_pictures
from ..result import StepReport
from ..run_state import CheckpointPlan, TrainingState
from ..trainables.context_file import ReferenceContext
from .outputs import png

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
        typer.Option(
            help=f"Write {CHECKPOINT} after every so many steps; 0 writes it only when the run is stopped with Ctrl-C."
        ),
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
    folder: Path, backbone: MiniatureBackbone, prompt: str, size: tuple[int, int], watching: Watching, steps: int
) -> Iterator[Callback]:
    """The callback for a run into `folder`. Raises KeyboardInterrupt after the step in which Ctrl-C came."""
    with ExitStack() as entered:
        bar = entered.enter_context(tqdm(total=steps, unit="step", disable=None))
        stop = entered.enter_context(stopping_between_steps())
        callbacks = [shown_on(bar), *entered.enter_context(event_files(folder / EVENTS))]
        if watching.preview_every:
            callbacks.append(previews(folder, backbone, prompt, size, watching.preview_every))

        def on_step(report: StepReport) -> None:
            for callback in callbacks:
                callback(report)
            stop()

        yield on_step


def shown_on(bar: Any) -> Callback:
    def show(report: StepReport) -> None:
        bar.set_postfix(loss=f"{report.loss:.3f}", refresh=False)
        bar.update(report.step - bar.n)

    return show


def previews(folder: Path, backbone: MiniatureBackbone, prompt: str, size: tuple[int, int], every: int) -> Callback:
    """Writes preview_000100.png, always of the same seeds, and context_000100.safetensors."""

    def draw(report: StepReport) -> None:
        if report.step % every == 0:
            context = report.trained()
            context.save(folder / f"context_{report.step:06}.safetensors")
            write_atomically(folder / f"preview_{report.step:06}.png", png(preview(backbone, prompt, size, context)))

    return draw


def preview(backbone: MiniatureBackbone, prompt: str, size: tuple[int, int], context: ReferenceContext) -> Image.Image:
    """What the context draws under its training prompt, one picture beside the other; size is (width, height)."""
    images = to_pictures(sample(backbone, prompt, PREVIEW_SEEDS, size, context=context, steps=PREVIEW_STEPS))
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
    with SummaryWriter(str(folder)) as writer:

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


@contextmanager
def stopping_between_steps() -> Iterator[Callable[[], None]]:
    """Ctrl-C waits for the function that this gives, so that a checkpoint holds whole steps; a second one does not
    wait."""
    asked = False

    def ask(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    def stop() -> None:
        if asked:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
