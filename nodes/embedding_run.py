"""Trains an embedding inside ComfyUI, from references to what the node hands on."""

from __future__ import annotations

from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io, ui

from ..masking.framing import Framing
from ..training.embedding_settings import EmbeddingTrainingSettings
from ..training.embeddings.trained_embedding import TrainedEmbedding
from ..training.references.augmentation import Augmentation
from ..training.references.caption import refuse_unnamed, with_tags
from ..training.references.reference_list import ReferenceList
from ..training.reports.loss_map import loss_map_of
from .embeddings.embedding_files import check_name, save_embedding
from .live.channel import Channel
from .live.finish import REQUESTS
from .live.loss_line import DONE, done_message
from .live.phases import Phases
from .options.training_options import TrainingOptions
from .watched_run import DIVERGED, Watched, keeping_the_best, run_to_its_end


def train_embedding_on_references(
    models: tuple[ModelPatcher, Any, Any],
    references: ReferenceList,
    framing: Framing,
    settings: EmbeddingTrainingSettings,
    options: TrainingOptions,
    augmentation: Augmentation,
    name: str,
) -> io.NodeOutput:
    """What says the embedding in a prompt, with the words for its subject, what says the one for the negative prompt,
    info and loss_map, with info shown on the node. Raises ValueError in one sentence for what cannot be trained on, or
    a name that is refused."""
    channel = Channel.of_executing_node()
    with Phases(channel, models[0].load_device) as phases, REQUESTS.listening(channel) as finish:
        phases.begin("starting")
        check_name(name)
        refuse_unnamed(augmentation.captions)
        watched = Watched(phases, finish, options.previews)
        with keeping_the_best(best_vectors_saved):
            ended = run_to_its_end(models, references, framing, settings, options, augmentation, watched)
        result = ended.result
        positive, negative = save_embedding(result.trained, name)
        positive = with_tags(positive, result.trained.prompt_words)
        words = f"trained {len(result.history.losses)} steps"
        phases.send(DONE, done_message(words, result.kept_step, result.history, ended.figures))
    info = f"{ended.info}\nin a prompt: {positive}" + (f"\nin a negative prompt: {negative}" if negative else "")
    return io.NodeOutput(positive, negative, info, loss_map_of(result.history), ui=ui.PreviewText(info))


def best_vectors_saved(trained: TrainedEmbedding) -> str:
    return f"the best vectors before that were saved, in a prompt: {save_embedding(trained, DIVERGED)[0]}"
