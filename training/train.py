"""Trains whatever the settings are for: each kind of settings has its trainable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .adapters.trained_lora import TrainedLora
from .embedding_settings import EmbeddingTrainingSettings
from .lora_settings import LoraTrainingSettings
from .references.encode import EncodedReference
from .result import StepReport, TrainingResult
from .resuming.run_state import CheckpointPlan, TrainingState
from .settings import TrainingSettings
from .train_context import train_context_tokens
from .train_embedding import train_embedding
from .train_lora import train_lora
from .trainables.context_file import ReferenceContext


def train_what_is_asked(
    backbone: Any,
    references: Sequence[EncodedReference],
    settings: TrainingSettings,
    on_step: Callable[[StepReport], None] | None = None,
    checkpoints: CheckpointPlan | None = None,
    resume: TrainingState | None = None,
    finish: Callable[[], bool] = lambda: False,
    begin: ReferenceContext | TrainedLora | None = None,
) -> TrainingResult:
    """See `train_context_tokens`, `train_lora` and `train_embedding`. begin: what one of the first two made, for the
    settings that train it.

    Raises ValueError where the backbone has no way in for it.
    """
    if isinstance(settings, LoraTrainingSettings):
        assert not isinstance(begin, ReferenceContext)
        return train_lora(backbone, references, settings, on_step, checkpoints, resume, finish, begin)
    assert not isinstance(begin, TrainedLora)
    if isinstance(settings, EmbeddingTrainingSettings):
        assert begin is None
        return train_embedding(backbone, references, settings, on_step, checkpoints, resume, finish)
    return train_context_tokens(backbone, references, settings, on_step, checkpoints, resume, finish, begin)
