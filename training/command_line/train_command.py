"""The command `train`: from the user's files to a folder with the context and what it learned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import torch
import typer

from ...declared import check_value, settings_of
from ...masking.framing import Framing
from ..miniature.backbone import MiniatureBackbone
from ..references.augmentation import Augmentation
from ..references.encode import encode_references
from ..references.reference_list import ReferenceList
from ..reports.memory import peak_memory
from ..reports.summary import describe
from ..result import TrainingDiverged, TrainingResult
from ..run_options import RunOptions
from ..settings import TrainingSettings
from ..train_context import train_context_tokens
from . import outputs
from .declared_options import read_settings, with_options
from .option_groups import read_augmentation, read_framing, read_references
from .watching import CHECKPOINT, Watching, read_watching, watched

INTERRUPTED = 130  # what a shell expects after Ctrl-C

Output = Annotated[Path, typer.Option(help="Folder for the results; made if it is missing.")]
(REDUCTION,) = (each for each in settings_of(RunOptions) if each.field == "mask_reduction")
ReductionName = Annotated[str, typer.Option(help=REDUCTION.explanation)]


@with_options(
    references=read_references,
    framing=read_framing,
    augmentation=read_augmentation,
    settings=read_settings,
    watching=read_watching,
)
def train(
    references: ReferenceList,
    framing: Framing,
    augmentation: Augmentation,
    settings: TrainingSettings,
    watching: Watching,
    reduction: ReductionName = "area",
    output: Output = Path("output/train"),
) -> None:
    """Train on your own pictures and masks."""
    train_and_write(references, settings, framing, output, checked_reduction(reduction), augmentation, watching)


def train_and_write(
    references: ReferenceList,
    settings: TrainingSettings,
    framing: Framing,
    folder: Path,
    reduction: str = "area",
    augmentation: Augmentation = Augmentation(),
    watching: Watching = Watching(),
) -> TrainingResult:
    """Trains on the miniature, shows progress, writes every result into `folder` and prints the summary."""
    settings.validate()
    outputs.require_writable(folder)
    resume = watching.resumed_state()
    backbone = MiniatureBackbone()
    with peak_memory(backbone.device) as memory, saved_when_stopped(folder):
        generator = torch.Generator().manual_seed(settings.seed)
        encoded = encode_references(backbone, references, framing, reduction, augmentation, generator)
        first = encoded[0]
        with watched(folder, backbone, first.caption, first.image_size, watching, settings.steps) as on_step:
            result = train_context_tokens(
                backbone, encoded, settings, on_step, watching.plan(folder, settings.steps), resume
            )
    unknown = dict.fromkeys(word for reference in encoded for word in backbone.tags.unknown(reference.caption))
    notes = (f"the miniature does not know {', '.join(unknown)}",) if unknown else ()
    outputs.write_results(folder, backbone, references, encoded, framing, result, memory.mib, notes)
    typer.echo(describe(result, memory.mib, notes))
    typer.echo(f"results: {folder}")
    return result


@contextmanager
def saved_when_stopped(folder: Path) -> Iterator[None]:
    """Says where to go on after Ctrl-C, and keeps the best tokens of a run that diverges."""
    try:
        yield
    except KeyboardInterrupt:
        kept = folder / CHECKPOINT
        typer.echo(
            f"stopped; go on with the same options and --resume {kept}"
            if kept.exists()
            else "stopped before the first step",
            err=True,
        )
        raise typer.Exit(INTERRUPTED) from None
    except TrainingDiverged as error:
        path = folder / "best_context.safetensors"
        error.trained.save(path)
        raise ValueError(f"{error}; the best tokens before that are in {path}") from error


def checked_reduction(reduction: str) -> str:
    check_value(REDUCTION, reduction, "reduction")
    return reduction
