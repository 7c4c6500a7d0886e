"""One training run inside ComfyUI, from references to what the node hands on."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import comfy.model_management as management
import torch
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io, ui

from ..masking.framing import Framing
from ..training.references.augmentation import Augmentation
from ..training.references.caption import refuse_unnamed
from ..training.references.encode import EncodedReference, encode_references
from ..training.references.enlargement import noting_enlargement
from ..training.references.reference import Reference
from ..training.reports.loss_map import loss_map_of
from ..training.reports.memory import peak_memory
from ..training.reports.summary import describe
from ..training.result import TrainingDiverged, TrainingResult
from ..training.resuming.run_state import CheckpointPlan, TrainingState
from ..training.settings import TrainingSettings
from ..training.train_context import train_context_tokens
from .anima.backbone import AnimaBackbone, anima_backbone
from .folders.contexts import save_as_new_file
from .live.previews import PreviewOptions, TrainingPreviews, previewer_for
from .live.progress import LiveProgress
from .options.training_options import TrainingOptions

OUT_OF_MEMORY_NOTE = "the GPU ran out of memory in the first step, so each block was computed twice (checkpointing on)"


def train_on_references(
    model: ModelPatcher,
    clip: Any,
    vae: Any,
    references: Iterable[Reference],
    framing: Framing,
    settings: TrainingSettings,
    options: TrainingOptions,
    augmentation: Augmentation = Augmentation(),
) -> io.NodeOutput:
    """context, info and loss_map, with info shown on the node. Raises ValueError in one sentence for what cannot be
    trained on."""
    refuse_unnamed(augmentation.captions)
    checkpoints, resume = options.checkpoints.plan(), options.checkpoints.resumed_state()
    options.previews.folder()  # a name that is refused is refused before anything is encoded
    with (
        keeping_the_best_tokens(),
        anima_backbone(model, clip, vae, options.recompute, options.precision) as backbone,
        peak_memory(model.load_device) as peak,
    ):
        prompts = torch.Generator().manual_seed(settings.seed)
        enlarged: list[str] = []
        noted = noting_enlargement(references, framing, enlarged)
        encoded = encode_references(backbone, noted, framing, options.mask_reduction, augmentation, prompts)
        result, notes = train_within_memory(backbone, encoded, settings, checkpoints, resume, options.previews)
    info = describe(result, peak.mib, (*enlarged, *notes))
    return io.NodeOutput(result.trained, info, loss_map_of(result.history), ui=ui.PreviewText(info))


@contextmanager
def keeping_the_best_tokens() -> Iterator[None]:
    """Saves the best tokens of a run that diverges where Load Context finds them, and says so in the error."""
    try:
        yield
    except TrainingDiverged as error:
        name = save_as_new_file(error.trained, "diverged")
        raise ValueError(f"{error}; the best tokens before that were saved as {name}, for Load Context") from error


def train_within_memory(
    backbone: AnimaBackbone,
    references: Sequence[EncodedReference],
    settings: TrainingSettings,
    checkpoints: CheckpointPlan | None = None,
    resume: TrainingState | None = None,
    preview_options: PreviewOptions = PreviewOptions(preview_every=0),
) -> tuple[TrainingResult, tuple[str, ...]]:
    """The result, and notes for the user. With `auto` checkpointing, a first step that does not fit is tried once more
    with it."""
    previewer, folder = previewer_for(backbone), preview_options.folder()
    previews = (
        None
        if folder is None
        else TrainingPreviews(backbone, references[0], previewer, folder, preview_options.preview_every)
    )
    notes = [] if previews is None else previews.notes
    progress = LiveProgress(previewer, previews)
    try:
        return train_context_tokens(backbone, references, settings, progress, checkpoints, resume), tuple(notes)
    except Exception as error:
        can_save_memory = backbone.recompute == "auto" and not backbone.recomputes
        if progress.steps_done > 0 or not can_save_memory or not management.is_oom(error):
            raise
    # Out here the exception is gone, and with it the tensors that its traceback held.
    gc.collect()
    management.soft_empty_cache()
    backbone.recompute_always()
    result = train_context_tokens(
        backbone, references, settings, LiveProgress(previewer, previews), checkpoints, resume
    )
    return result, (OUT_OF_MEMORY_NOTE, *notes)
