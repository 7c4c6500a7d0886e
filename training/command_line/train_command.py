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
from ..adapters.lora_reading import load_lora
from ..adapters.plan import plan_of
from ..adapters.trained_lora import TrainedLora
from ..aims import AimOptions
from ..embedding_settings import EmbeddingSettings, EmbeddingTrainingSettings, with_embedding
from ..epsilon.worlds import MINIATURE, WORLD_HELP, world_called
from ..lora_settings import Layout, LoraFileSettings, LoraSettings, LoraTrainingSettings, with_lora
from ..miniature.backbone import DrawnBackbone
from ..references.augmentation import Augmentation
from ..references.encode import encode_references
from ..references.reference_list import ReferenceList
from ..reports.memory import peak_memory
from ..reports.summary import describe
from ..result import TrainingDiverged, TrainingResult
from ..run_options import RunOptions
from ..settings import TrainingSettings
from ..train import train_what_is_asked
from ..trainables.context_file import ReferenceContext, context_bytes
from ..trainables.stored_context import load_context
from . import outputs
from .declared_options import read_settings, reader, with_options
from .option_groups import read_augmentation, read_framing, read_references
from .output_folder import held_alone, require_writable, reserved, save_somewhere
from .several_processes import one_training
from .stopping_signals import Stopped, Stopping, stopped_by_signals
from .watching import CHECKPOINT, Watching, read_watching, watched

Output = Annotated[Path, typer.Option(help="Folder for the results; made if it is missing.")]
(REDUCTION,) = (each for each in settings_of(RunOptions) if each.field == "mask_reduction")
TOKENS, LORA, EMBEDDING = TRAINABLES = "tokens", "lora", "embedding"
ROOM_BESIDE = 2**21  # bytes of the report, the plot and the pictures of a run
StartContext = Annotated[
    Path | None,
    typer.Option(
        help="A context to go on from, with more steps or other pictures; its number of tokens stays, and what it was "
        "trained with before is kept in the new one."
    ),
]
TrainableName = Annotated[
    str,
    typer.Option(
        help="What is trained: tokens (a context, read beside the prompt), lora (for Load LoRA; "
        f"{LoraTrainingSettings.steps} steps unless --steps is given), or embedding (words of a prompt; with --world "
        "epsilon)."
    ),
]
StartLora = Annotated[
    Path | None, typer.Option(help="A LoRA to go on from, of this kind, rank and layers, whoever trained it.")
]
ReductionName = Annotated[str, typer.Option(help=REDUCTION.explanation)]
World = Annotated[str, typer.Option(help=WORLD_HELP)]


@with_options(
    references=read_references,
    framing=read_framing,
    augmentation=read_augmentation,
    settings=read_settings,
    aim=reader(AimOptions),
    watching=read_watching,
    lora=reader(LoraSettings),
    lora_file=reader(LoraFileSettings),
    embedding=reader(EmbeddingSettings),
)
def train(
    command_line: typer.Context,
    references: ReferenceList,
    framing: Framing,
    augmentation: Augmentation,
    settings: TrainingSettings,
    aim: AimOptions,
    watching: Watching,
    lora: LoraSettings,
    lora_file: LoraFileSettings,
    embedding: EmbeddingSettings,
    reduction: ReductionName = "area",
    output: Output = Path("output/train"),
    start_context: StartContext = None,
    trainable: TrainableName = TOKENS,
    start_lora: StartLora = None,
    world: World = MINIATURE,
) -> None:
    """Train on your own pictures and masks."""
    augmentation = replace(augmentation, images=aim.images(augmentation.images))
    settings, reduction = aim.settings(settings), checked_reduction(reduction)
    begin: ReferenceContext | Path | None = start_lora
    if checked_trainable(trainable, start_context, start_lora) == LORA:
        if came(command_line, "steps"):
            settings = with_lora(settings, lora)
        else:
            settings = with_lora(replace(settings, steps=LoraTrainingSettings.steps), lora)
        lora_file.check_fits(lora)
    elif trainable == EMBEDDING:
        settings = with_embedding(settings, embedding)
    elif start_context is not None:
        begin = load_context(start_context)
    with one_training(output) as folder:
        train_and_write(
            references, settings, framing, folder, reduction, augmentation, watching, begin, lora_file.layout, world
        )


def train_and_write(
    references: ReferenceList,
    settings: TrainingSettings,
    framing: Framing,
    folder: Path,
    reduction: str = "area",
    augmentation: Augmentation = Augmentation(),
    watching: Watching = Watching(),
    begin: ReferenceContext | TrainedLora | Path | None = None,
    layout: Layout = "sd-scripts",
    world: str = MINIATURE,
) -> TrainingResult:
    """Trains on a bundled model, shows progress, writes every result into `folder` and prints the summary. begin: a
    context, or the file of a LoRA; layout: of a LoRA's file."""
    settings.validate()
    model, name = world_called(world), outputs.name_for(settings)
    require_writable(folder, (name, *outputs.RESULTS, CHECKPOINT))
    with held_alone(folder), stopped_by_signals() as stopping, saved_when_stopped(folder, stopping):
        resume = watching.resumed_state()
        backbone = model.load()
        start = begin
        if isinstance(start, Path):
            start = load_lora(start, backbone.adaptable_layers(), backbone.model_family)
        with peak_memory(backbone.device) as memory, reserved(folder, room_for(backbone, settings)) as release:
            generator = torch.Generator().manual_seed(settings.seed)
            encoded = encode_references(backbone, references, framing, reduction, augmentation, generator)
            first = encoded[0]
            with watched(
                folder, backbone, first.caption, first.image_size, watching, settings.steps, stopping
            ) as on_step:
                plan = watching.plan(folder, settings.steps)
                result = train_what_is_asked(backbone, encoded, settings, on_step, plan, resume, begin=start)
            release()
        trained = result.trained
        if isinstance(trained, TrainedLora):
            trained = replace(trained, layout=layout)
        kept = stopping.kept = save_somewhere(trained, folder / name)
        stopping.release()
        unknown = dict.fromkeys(word for reference in encoded for word in backbone.tags.unknown(reference.caption))
        notes = (f"the model does not know {printable(', '.join(unknown))}",) if unknown else ()
        failed = outputs.write_results(folder, backbone, references, encoded, framing, result, memory.mib, notes)
    typer.echo(describe(result, memory.mib, notes))
    if failed or kept.parent != folder:
        raise OSError(
            sentence(
                f"not all results could be written to {quoted(folder, 60)} ({first_of(failed, 2, 90)}); the "
                f"{result.trained.noun} is in {quoted(kept)}"
            )
        )
    typer.echo(f"results: {folder}")
    return result


def room_for(backbone: DrawnBackbone, settings: TrainingSettings) -> int:
    """Bytes that the results of a run take at most, or nearly so."""
    if isinstance(settings, EmbeddingTrainingSettings):
        return ROOM_BESIDE
    if isinstance(settings, LoraTrainingSettings):
        plan = plan_of(backbone.adaptable_layers(), settings, backbone.model_family)
        return ROOM_BESIDE + 4 * plan.size
    count = settings.num_tokens + settings.negative_tokens
    return ROOM_BESIDE + context_bytes(backbone.num_blocks, count, backbone.context_dim, settings.time_ranges)


@contextmanager
def saved_when_stopped(folder: Path, stopping: Stopping) -> Iterator[None]:
    """Says where to go on after a signal, and keeps the best of a run that diverges."""
    try:
        yield
    except Stopped as signal:
        checkpoint = folder / CHECKPOINT
        if stopping.kept is not None:
            said = f"stopped after the training; what it trained is in {stopping.kept}"
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
        noun = error.trained.noun
        path = save_somewhere(error.trained, folder / f"best_{noun.lower()}.safetensors")
        raise ValueError(f"{error}; the best {noun} before that is in {path}") from error


def came(command_line: typer.Context, option: str) -> bool:
    """Whether the command line has the option."""
    source = command_line.get_parameter_source(option)
    return source is not None and source.name != "DEFAULT"


def checked_reduction(reduction: str) -> str:
    check_value(REDUCTION, reduction, "reduction")
    return reduction


def checked_trainable(trainable: str, start_context: Path | None, start_lora: Path | None) -> str:
    """Raises ValueError where it is none, or where a run would begin at what it does not train."""
    if trainable not in TRAINABLES:
        raise ValueError(f"trainable is {quoted(trainable, 60)}, expected one of: {', '.join(TRAINABLES)}")
    starts = {TOKENS: ("start-context", start_context), LORA: ("start-lora", start_lora)}
    for other, (option, start) in starts.items():
        if other != trainable and start is not None:
            raise ValueError(f"--{option} came and trainable is {trainable!r}, expected trainable '{other}' with it")
    return trainable
