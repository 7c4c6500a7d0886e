"""One training run inside ComfyUI, from references to what the node hands on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io, ui

from ..masking.framing import Framing
from ..training.references.augmentation import Augmentation
from ..training.references.caption import refuse_unnamed
from ..training.references.encode import EncodedReference, encode_references
from ..training.references.enlargement import noting_enlargement
from ..training.references.reference import Reference
from ..training.references.reference_list import ReferenceList
from ..training.reports.loss_map import loss_map_of
from ..training.reports.memory import peak_memory
from ..training.reports.summary import describe
from ..training.result import TrainingDiverged, TrainingResult
from ..training.resuming.run_state import CheckpointPlan, TrainingState
from ..training.settings import TrainingSettings
from ..training.train_context import train_context_tokens
from ..training.trainables.context_file import ReferenceContext
from ..training.trainables.thumbnail import with_thumbnail
from .folders.contexts import save_as_new_file
from .live.channel import Channel
from .live.finish import REQUESTS
from .live.first_picture import FirstPicture
from .live.loss_line import DONE, done_message
from .live.phases import Phases
from .live.previews import PreviewOptions, TrainingPreviews, previewer_for
from .live.progress import LiveProgress
from .models.backbone import ModelBackbone, training_backbone
from .models.within_memory import within_memory
from .options.training_options import TrainingOptions
from .recent.recent_contexts import FinishedRun, RecentContexts
from .recent.run_key import run_key

OUT_OF_MEMORY_NOTE = "the GPU ran out of memory in the first step, so each block was computed twice (checkpointing on)"


@dataclass(frozen=True)
class Watched:
    """How a run is followed and ended from outside; the defaults tell nobody."""

    phases: Phases = field(default_factory=lambda: Phases(None, torch.device("cpu")))
    finish: Callable[[], bool] = lambda: False
    previews: PreviewOptions = PreviewOptions(preview_every=0)


def train_on_references(
    model: ModelPatcher,
    clip: Any,
    vae: Any,
    references: ReferenceList | Sequence[Reference],
    framing: Framing,
    settings: TrainingSettings,
    options: TrainingOptions,
    augmentation: Augmentation = Augmentation(),
) -> io.NodeOutput:
    """context, info and loss_map, with info shown on the node; those of the same run before, where it is among the
    recent ones. Raises ValueError in one sentence for what cannot be trained on."""
    channel, models = Channel.of_executing_node(), (model, clip, vae)
    recent = RecentContexts(options.recent.keep_recent)
    with Phases(channel, model.load_device) as phases, REQUESTS.listening(channel) as finish:
        phases.begin("starting")
        refuse_unnamed(augmentation.captions)
        key = run_key(models, references, framing, settings, options, augmentation)
        run, words = recent.find(key), "found among the recent contexts"
        if run is None:
            watched = Watched(phases, finish, options.previews)
            run = trained_run(models, references, framing, settings, options, augmentation, watched)
            run, words = recent.kept(key, run), f"trained {len(run.history.losses)} steps"
        phases.send(DONE, done_message(words, run.kept_step, run.history, run.figures))
    return io.NodeOutput(run.context, run.info, run.loss_map, ui=ui.PreviewText(run.info))


def trained_run(
    models: tuple[ModelPatcher, Any, Any],
    references: ReferenceList | Sequence[Reference],
    framing: Framing,
    settings: TrainingSettings,
    options: TrainingOptions,
    augmentation: Augmentation,
    watched: Watched,
) -> FinishedRun:
    """A run from references to its outputs; its context carries a small picture of what it learned."""
    checkpoints, resume = options.checkpoints.plan(), options.checkpoints.resumed_state()
    options.previews.folder()  # a name that is refused is refused before anything is encoded
    first = FirstPicture(watched.phases, framing, options.mask_reduction)
    device = models[0].load_device
    with (
        keeping_the_best_tokens(),
        training_backbone(*models, options.recompute, options.precision) as backbone,
        peak_memory(device) as peak,
    ):
        watched.phases.watch(backbone)
        measuring, watched.phases.passing = watched.phases.passing, "drawing other backgrounds"
        prompts = torch.Generator().manual_seed(settings.seed)
        enlarged: list[str] = []
        noted = noting_enlargement(first.announce(references), framing, enlarged)
        encoded = encode_references(backbone, noted, framing, options.mask_reduction, augmentation, prompts)
        watched.phases.passing = measuring
        result, notes = train_within_memory(backbone, encoded, settings, checkpoints, resume, watched, options.begin)
    return FinishedRun(
        context=with_thumbnail(result.trained, first.image),
        info=describe(result, peak.mib, (*enlarged, *notes)),
        loss_map=loss_map_of(result.history),
        figures={
            "seconds": round(result.seconds, 1),
            "memory": f"{peak.mib:.0f} MiB" if peak.mib else "",
            "loss": result.trained.info.final_loss,
        },
        kept_step=result.kept_step,
    )


@contextmanager
def keeping_the_best_tokens() -> Iterator[None]:
    """Saves the best tokens of a run that diverges where Load Context finds them, and says so in the error."""
    try:
        yield
    except TrainingDiverged as error:
        name = save_as_new_file(error.trained, "diverged")
        raise ValueError(f"{error}; the best tokens before that were saved as {name}, for Load Context") from error


def train_within_memory(
    backbone: ModelBackbone,
    references: Sequence[EncodedReference],
    settings: TrainingSettings,
    checkpoints: CheckpointPlan | None = None,
    resume: TrainingState | None = None,
    watched: Watched = Watched(),
    begin: ReferenceContext | None = None,
) -> tuple[TrainingResult, tuple[str, ...]]:
    """The result, and notes for the user. With `auto` checkpointing, a first step that does not fit is tried once more
    with it."""
    previewer, folder = previewer_for(backbone), watched.previews.folder()
    previews = (
        None
        if folder is None
        else TrainingPreviews(backbone, references[0], previewer, folder, watched.previews.preview_every)
    )
    notes = [] if previews is None else previews.notes
    watched.phases.pace.rows = settings.steps * settings.batch_size * settings.gradient_accumulation

    progress = LiveProgress(previewer, watched.phases, previews)

    def train() -> TrainingResult:
        nonlocal progress
        progress = LiveProgress(previewer, watched.phases, previews)
        return train_context_tokens(
            backbone, references, settings, progress, checkpoints, resume, watched.finish, begin
        )

    result, again = within_memory(backbone, train, lambda: progress.steps_done)
    return result, (*((OUT_OF_MEMORY_NOTE,) if again else ()), *notes)
