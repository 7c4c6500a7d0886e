"""Trains a context inside ComfyUI, from references to what the node hands on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io, ui

from ..masking.framing import Framing
from ..training.references.augmentation import Augmentation
from ..training.references.caption import refuse_unnamed
from ..training.references.reference import Reference
from ..training.references.reference_list import ReferenceList
from ..training.reports.loss_map import loss_map_of
from ..training.settings import TrainingSettings
from ..training.trainables.context_file import ReferenceContext
from ..training.trainables.thumbnail import with_thumbnail
from .folders.contexts import save_as_new_file
from .live.channel import Channel
from .live.finish import REQUESTS
from .live.loss_line import DONE, done_message
from .live.phases import Phases
from .options.training_options import TrainingOptions
from .recent.recent_contexts import FinishedRun, RecentContexts
from .recent.run_key import run_key
from .watched_run import DIVERGED, Watched, keeping_the_best, run_to_its_end


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
    with keeping_the_best(best_tokens_saved):
        ended = run_to_its_end(models, references, framing, settings, options, augmentation, watched)
    result = ended.result
    return FinishedRun(
        context=with_thumbnail(result.trained, ended.image),
        info=ended.info,
        loss_map=loss_map_of(result.history),
        figures=ended.figures,
        kept_step=result.kept_step,
    )


def best_tokens_saved(trained: ReferenceContext) -> str:
    return f"the best tokens before that were saved as {save_as_new_file(trained, DIVERGED)}, for Load Context"
