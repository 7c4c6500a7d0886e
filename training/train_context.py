"""Trains context tokens: the trainer with the first of its trainables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from .backbone import Backbone, TokenBackbone
from .diffusion.guidance import GuidedBackbone
from .forward_passes import CountedBackbone, ForwardPasses
from .references.encode import EncodedReference
from .result import StepReport, TrainingResult
from .resuming.run_state import CheckpointPlan, TrainingState
from .settings import TrainingSettings
from .subject_words import words_beside_prompts, words_of_run
from .trainables.context_file import ReferenceContext
from .trainables.said_words import SaidWords, without_words
from .trainables.token_trainable import (
    TokenTrainable,
    prompt_vectors,
    settings_to_continue,
    unit_of_prompts,
)
from .trainer import Trainer


def train_context_tokens(
    backbone: TokenBackbone,
    references: Sequence[EncodedReference],
    settings: TrainingSettings = TrainingSettings(),
    on_step: Callable[[StepReport], None] | None = None,
    checkpoints: CheckpointPlan | None = None,
    resume: TrainingState | None = None,
    finish: Callable[[], bool] = lambda: False,
    begin: ReferenceContext | None = None,
) -> TrainingResult:
    """Optimises context tokens for the references; the backbone's weights are never touched.

    begin: a context to go on from, whose number of tokens the run keeps; None to begin near zero.
    finish: asked after each step; True makes that step the last, and what is learned until then the result.
    The same seed gives the same tokens on the same machine: all randomness comes from CPU generators. A resumed run
    continues to the tokens of the uninterrupted one. Raises ValueError for settings that make no sense or do not fit
    the resumed run, TrainingDiverged, and whatever `on_step` raises.
    """
    settings.validate()
    trainer = context_trainer(backbone, references, settings, begin, resume)
    if resume is not None:
        trainer.load_state(resume)
    return trainer.run(on_step, checkpoints, finish)


def context_trainer(
    backbone: TokenBackbone,
    references: Sequence[EncodedReference],
    settings: TrainingSettings,
    begin: ReferenceContext | None = None,
    resume: TrainingState | None = None,
) -> Trainer:
    """A trainer before its first step; one that is to `resume` a run says the words that were found for it. Raises
    ValueError where `begin` was trained for another model."""
    if not references:
        raise ValueError("no reference image came, expected at least one")
    passes = ForwardPasses()
    counted: Any = CountedBackbone(backbone, passes)  # below guidance, which asks it twice
    words: SaidWords | None = None
    if begin is not None:
        begin.check_fits(backbone.num_blocks, backbone.context_dim, backbone.model_family, backbone.own_attention)
        begin, words = without_words(begin.with_blocks(backbone.num_blocks))
        settings = settings_to_continue(begin, settings)
    else:
        text = words_of_run(lambda: words_beside_prompts(counted, references, settings), passes, resume)
        words = SaidWords(text, prompt_vectors(backbone, text, "subject_words")) if text else None
    generator = torch.Generator().manual_seed(settings.seed)
    start = prompt_vectors(backbone, settings.init_text) if settings.init_text else None
    prompts = [reference.conditioning for reference in references]
    unit = 1.0 if settings.token_norm == "raw" else unit_of_prompts(prompts)
    tokens = TokenTrainable(backbone, settings, generator, references[0].latent.device, start, unit, begin, words)
    model: Backbone = GuidedBackbone(counted, settings.guidance) if settings.negative_tokens else counted
    return Trainer(model, tokens, references, settings, generator, passes, words.text if words else "")
