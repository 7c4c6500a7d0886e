"""One run inside ComfyUI, whatever it trains: from references to what was trained and how it went, watched while it
goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from PIL import Image

from ..masking.framing import Framing
from ..training.adapters.trained_lora import TrainedLora
from ..training.embedding_settings import EmbeddingTrainingSettings
from ..training.references.augmentation import Augmentation
from ..training.references.encode import EncodedReference, encode_references
from ..training.references.enlargement import noting_enlargement
from ..training.references.reference import Reference
from ..training.references.reference_list import ReferenceList
from ..training.reports.memory import peak_memory
from ..training.reports.summary import describe
from ..training.result import TrainingDiverged, TrainingResult
from ..training.resuming.run_state import CheckpointPlan, TrainingState
from ..training.settings import TrainingSettings
from ..training.train import train_what_is_asked
from ..training.trainables.context_file import ReferenceContext
from .embeddings.embedding_backbone import embedding_backbone
from .live.first_picture import FirstPicture
from .live.phases import Phases
from .live.previews import PreviewOptions, TrainingPreviews, previewer_for
from .live.progress import LiveProgress
from .models.backbone import ModelBackbone, training_backbone
from .models.families import family_of
from .models.within_memory import within_memory
from .options.training_options import TrainingOptions

OUT_OF_MEMORY_NOTE = "the GPU ran out of memory in the first step, so each block was computed twice (checkpointing on)"
DIVERGED = "diverged"  # the name under which the best of a run that went wrong is saved


@dataclass(frozen=True)
class Watched:
    """How a run is followed and ended from outside; the defaults tell nobody."""

    phases: Phases = field(default_factory=lambda: Phases(None, torch.device("cpu")))
    finish: Callable[[], bool] = lambda: False
    previews: PreviewOptions = PreviewOptions(preview_every=0)


@dataclass(frozen=True)
class EndedRun:
    """image: what was learned of the first reference. figures: see `live.loss_line.done_message`."""

    result: TrainingResult
    image: Image.Image | None
    info: str
    figures: dict[str, Any]


# What is to be said of a result while its model is still open.
Remarks = Callable[[ModelBackbone, Sequence[EncodedReference], TrainingResult], tuple[str, ...]]


def run_to_its_end(
    models: tuple[ModelPatcher, Any, Any],
    references: ReferenceList | Sequence[Reference],
    framing: Framing,
    settings: TrainingSettings,
    options: TrainingOptions,
    augmentation: Augmentation,
    watched: Watched,
    remarks: Remarks = lambda backbone, references, result: (),
) -> EndedRun:
    """Trains what the settings are for, on pictures whose sides the model can take. Raises TrainingDiverged, and
    ValueError for what cannot be trained on."""
    framing = family_of(models[0]).framed(framing)
    checkpoints, resume = options.checkpoints.plan(), options.checkpoints.resumed_state()
    options.previews.folder()  # a name that is refused is refused before anything is encoded
    first = FirstPicture(watched.phases, framing, options.mask_reduction)
    device = models[0].load_device
    opened = embedding_backbone if isinstance(settings, EmbeddingTrainingSettings) else training_backbone
    with (
        opened(*models, options.recompute, options.precision) as backbone,
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
        notes += remarks(backbone, encoded, result)
    figures = {
        "seconds": round(result.seconds, 1),
        "memory": f"{peak.mib:.0f} MiB" if peak.mib else "",
        "loss": result.trained.info.final_loss,
    }
    return EndedRun(result, first.image, describe(result, peak.mib, (*enlarged, *notes)), figures)


@contextmanager
def keeping_the_best(keep: Callable[[Any], str]) -> Iterator[None]:
    """What a run that diverges has learned best is kept, and the error says so. keep: saves it, and says where, as in
    "the best tokens before that were saved as ..."."""
    try:
        yield
    except TrainingDiverged as error:
        raise ValueError(f"{error}; {keep(error.trained)}") from error


def train_within_memory(
    backbone: ModelBackbone,
    references: Sequence[EncodedReference],
    settings: TrainingSettings,
    checkpoints: CheckpointPlan | None = None,
    resume: TrainingState | None = None,
    watched: Watched = Watched(),
    begin: ReferenceContext | TrainedLora | None = None,
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
        return train_what_is_asked(backbone, references, settings, progress, checkpoints, resume, watched.finish, begin)

    result, again = within_memory(backbone, train, lambda: progress.steps_done)
    return result, (*((OUT_OF_MEMORY_NOTE,) if again else ()), *notes)
