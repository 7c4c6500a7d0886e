"""Trains an embedding: the trainer with vectors in the place of words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from ..masking.wording import quoted
from .backbone import Backbone, EmbeddableBackbone
from .diffusion.guidance import GuidedBackbone
from .embedding_settings import EmbeddingTrainingSettings
from .embeddings.embedding_trainable import EmbeddingTrainable
from .forward_passes import CountedBackbone, ForwardPasses
from .references.encode import EncodedReference
from .result import StepReport, TrainingResult
from .resuming.run_state import CheckpointPlan, TrainingState
from .subject_words import under_words
from .trainer import Trainer


def train_embedding(
    backbone: EmbeddableBackbone,
    references: Sequence[EncodedReference],
    settings: EmbeddingTrainingSettings = EmbeddingTrainingSettings(),
    on_step: Callable[[StepReport], None] | None = None,
    checkpoints: CheckpointPlan | None = None,
    resume: TrainingState | None = None,
    finish: Callable[[], bool] = lambda: False,
) -> TrainingResult:
    """Optimises an embedding for the references, as `train_context_tokens` does tokens; `trained` is a
    TrainedEmbedding."""
    settings.validate()
    trainer = embedding_trainer(backbone, references, settings, resume)
    if resume is not None:
        trainer.load_state(resume)
    return trainer.run(on_step, checkpoints, finish)


def embedding_trainer(
    backbone: EmbeddableBackbone,
    references: Sequence[EncodedReference],
    settings: EmbeddingTrainingSettings,
    resume: TrainingState | None = None,
) -> Trainer:
    """A trainer before its first step, under prompts that say the words for the subject. Raises ValueError where no
    reference came, and for a model or words that it cannot begin with."""
    if not hasattr(backbone, "word_tables"):
        raise ValueError(f"the model is {backbone.model_family}, expected one whose prompts take embeddings")
    if not references:
        raise ValueError("no reference image came, expected at least one")
    generator = torch.Generator().manual_seed(settings.seed)
    start = backbone.words(settings.start_words or references[0].caption)
    if settings.start_words and not all(map(len, start.values())):
        raise ValueError(f"start_words is {quoted(settings.start_words, 60)}, expected words that the model knows")
    vectors = EmbeddingTrainable(backbone, settings, generator, references[0].latent.device, start)
    passes = ForwardPasses()
    counted: Any = CountedBackbone(backbone, passes)  # below guidance, which asks it twice
    references, words = under_words(counted, references, settings, passes, resume)
    model: Backbone = GuidedBackbone(counted, settings.guidance) if settings.negative_vectors else counted
    return Trainer(model, vectors, references, settings, generator, passes, words)
