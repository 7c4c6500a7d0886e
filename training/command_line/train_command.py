"""The command `train`: from the user's files to a folder with the context and what it learned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from ...declared import check_value, settings_of
from ...masking.framing import Framing
from ...masking.wording import first_of, printable, quoted, sentence
from ..aims import AimOptions
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
from ..trainables.context_file import ReferenceContext, context_bytes
from ..trainables.stored_context import load_context
from . import outputs
from .declared_options import read_settings, reader, with_options
from .option_groups import read_augmentation, read_framing, read_references
from .output_folder import held_alone, require_writable, reserved, save_somewhere
from .stopping_signals import Stopped, Stopping, stopped_by_signals
from .watching import CHECKPOINT, Watching, read_watching, watched

Output = Annotated[Path, typer.Option(help="Folder for the results; made if it is missing.")]
(REDUCTION,) = (each for each in settings_of(RunOptions) if each.field == "mask_reduction")
ROOM_BESIDE = 2**21  # bytes of the report, the plot and the pictures of a run
StartContext = Annotated[
    Path | None,
    typer.Option(
        help="A context to go on from, with more steps or other pictures; its number of tokens stays, and what it was "
        "trained with before is kept in the new one."
    ),
]
ReductionName = Annotated[str, typer.Option(help=REDUCTION.explanation)]


@with_options(
    references=read_references,
    framing=read_framing,
    augmentation=read_augmentation,
    settings=read_settings,
    aim=reader(AimOptions),
    watching=read_watching,
)
def train(
    references: ReferenceList,
    framing: Framing,
    augmentation: Augmentation,
    settings: TrainingSettings,
    aim: AimOptions,
    watching: Watching,
    reduction: ReductionName = "area",
    output: Output = Path("output/train"),
    start_context: StartContext = None,
) -> None:
    """Train on your own pictures and masks."""
    augmentation = replace(augmentation, images=aim.images(augmentation.images))
    settings, reduction = aim.settings(settings), checked_reduction(reduction)
    begin = None if start_context is None else load_context(start_context)
    train_and_write(references, settings, framing, output, reduction, augmentation, watching, begin)


def train_and_write(
    references: ReferenceList,
    settings: TrainingSettings,
    framing: Framing,
    folder: Path,
    reduction: str = "area",
    augmentation: Augmentation = Augmentation(),
    watching: Watching = Watching(),
    begin: ReferenceContext | None = None,
) -> TrainingResult:
    """Trains on the miniature, shows progress, writes every result into `folder` and prints the summary."""
    settings.validate()
    require_writable(folder, (*outputs.RESULTS, CHECKPOINT))
    with held_alone(folder), stopped_by_signals() as stopping, saved_when_stopped(folder, stopping):
        resume = watching.resumed_state()
        backbone = MiniatureBackbone()
        with peak_memory(backbone.device) as memory, reserved(folder, room_for(backbone, settings)) as release:
            generator = torch.Generator().manual_seed(settings.seed)
            encoded = encode_references(backbone, references, framing, reduction, augmentation, generator)
            first = encoded[0]
            with watched(
                folder, backbone, first.caption, first.image_size, watching, settings.steps, stopping
            ) as on_step:
                plan = watching.plan(folder, settings.steps)
                result = train_context_tokens(backbone, encoded, settings, on_step, plan, resume, begin=begin)
            release()
        context = save_somewhere(result.trained, folder / outputs.CONTEXT)
        stopping.kept = context
        stopping.release()
        unknown = dict.fromkeys(word for reference in encoded for word in backbone.tags.unknown(reference.caption))
        notes = (f"the miniature does not know {printable(', '.join(unknown))}",) if unknown else ()
        failed = outputs.write_results(folder, backbone, references, encoded, framing, result, memory.mib, notes)
    typer.echo(describe(result, memory.mib, notes))
    if failed or context.parent != folder:
        raise OSError(
            sentence(
                f"not all results could be written to {quoted(folder, 60)} ({first_of(failed, 2, 90)}); the context is "
                f"in {quoted(context)}"
            )
        )
    typer.echo(f"results: {folder}")
    return result


def room_for(backbone: MiniatureBackbone, settings: TrainingSettings) -> int:
    """Bytes that the results of a run take at most, or nearly so."""
    count = settings.num_tokens + settings.negative_tokens
    return ROOM_BESIDE + context_bytes(backbone.num_blocks, count, backbone.context_dim, settings.time_ranges)


@contextmanager
def saved_when_stopped(folder: Path, stopping: Stopping) -> Iterator[None]:
    """Says where to go on after a signal, and keeps the best tokens of a run that diverges."""
    try:
        yield
    except Stopped as signal:
        checkpoint = folder / CHECKPOINT
        if stopping.kept is not None:
            said = f"stopped after the training; the context is in {stopping.kept}"
        elif not stopping.stepped:
            said = "stopped before the first step"
        elif checkpoint.exists():
            said = f"stopped; go on with the same options and --resume {checkpoint}"
        else:
            said = f"stopped; no checkpoint could be written to {folder}"
        with suppress(OSError):  # after SIGHUP the terminal is gone
            typer.echo(said, err=True)
        raise typer.Exit(signal.exit_code) from None
    except TrainingDiverged as error:
        path = save_somewhere(error.trained, folder / "best_context.safetensors")
        raise ValueError(f"{error}; the best tokens before that are in {path}") from error


def checked_reduction(reduction: str) -> str:
    check_value(REDUCTION, reduction, "reduction")
    return reduction
