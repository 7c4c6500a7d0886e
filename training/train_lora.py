"""Trains a LoRA: the trainer with another trainable than context tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from .adapters.adapter_trainable import AdapterTrainable
from .adapters.trained_lora import TrainedLora
from .backbone import AdaptableBackbone
from .evaluation import Evaluation
from .forward_passes import CountedBackbone, ForwardPasses
from .lora_settings import LoraTrainingSettings
from .references.encode import EncodedReference
from .references.unprompted import held_without_prompt
from .result import StepReport, TrainingResult
from .resuming.run_state import CheckpointPlan, TrainingState
from .stopping import score
from .subject_words import under_words
from .trainer import Trainer

# A smaller rank of a DyLoRA suffices where it leaves at least so much of what the whole one gained.
SUFFICES = 0.95


def train_lora(
    backbone: AdaptableBackbone,
    references: Sequence[EncodedReference],
    settings: LoraTrainingSettings = LoraTrainingSettings(),
    on_step: Callable[[StepReport], None] | None = None,
    checkpoints: CheckpointPlan | None = None,
    resume: TrainingState | None = None,
    finish: Callable[[], bool] = lambda: False,
    begin: TrainedLora | None = None,
) -> TrainingResult:
    """Optimises a LoRA for the references, as `train_context_tokens` does tokens; `trained` is a TrainedLora.

    begin: a LoRA to go on from; None begins with one that changes nothing.
    """
    settings.validate()
    trainer, trainable = lora_trainer(backbone, references, settings, begin, resume)
    if resume is not None:
        trainer.load_state(resume)
    trainable.whole = True  # trial steps compare losses, which those of other ranks would blur
    trainer.find_rate()
    trainable.whole = False
    result = trainer.run(on_step, checkpoints, finish)
    return at_smallest_rank(trainer, trainable, result) if settings.kind == "DyLoRA" else result


def lora_trainer(
    backbone: AdaptableBackbone,
    references: Sequence[EncodedReference],
    settings: LoraTrainingSettings,
    begin: TrainedLora | None = None,
    resume: TrainingState | None = None,
) -> tuple[Trainer, AdapterTrainable]:
    """A trainer before its first step, and what it trains: under prompts that say the words for the subject, those of
    `begin` where it has some. Raises ValueError where the settings or `begin` do not fit the model."""
    if not references:
        raise ValueError("no reference image came, expected at least one")
    generator = torch.Generator().manual_seed(settings.seed)
    device = references[0].latent.device
    trainable = AdapterTrainable(backbone.adaptable_layers(), settings, generator, device, backbone.model_family, begin)
    passes = ForwardPasses()
    model: Any = CountedBackbone(backbone, passes)
    earlier = "" if begin is None else begin.info.words
    references, words = under_words(model, references, settings, passes, resume, earlier)
    if settings.prior_weight > 0 and settings.unmasked_weight == 0:
        references = held_without_prompt(references, model.encode_prompt)
    return Trainer(model, trainable, references, settings, generator, passes, words), trainable


def at_smallest_rank(trainer: Trainer, trainable: AdapterTrainable, result: TrainingResult) -> TrainingResult:
    """The result with the first ranks of a DyLoRA alone that suffice, measured as all of it was."""
    before, whole = result.before, result.after
    kept = trainer.best.kept
    if result.kept_step == 0 or score(whole, before) >= score(before, before):
        return result

    def measured_at(ranks: int) -> Evaluation:
        return trainer.grid.measure(lambda level: trainable.at(level, kept, ranks))

    gained = score(before, before) - score(whole, before)
    for ranks in trainable.ranks[:-1]:
        measured = measured_at(ranks)
        if score(before, before) - score(measured, before) >= SUFFICES * gained:
            trainer.history.evaluations[result.kept_step] = measured
            trained = trainer.export(kept, result.kept_step).with_ranks(ranks)
            note = f"rank {ranks} of {trainable.ranks[-1]} suffices: it has {SUFFICES:.0%} or more of what all gained"
            return replace(result, trained=trained, warnings=[*result.warnings, note])
    return result
