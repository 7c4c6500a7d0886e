"""The command `train`: from the user's files to a folder with the context and what it learned."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer
from tqdm import tqdm

from ...masking import REDUCTIONS
from ..encode import encode_references
from ..memory import peak_memory
from ..miniature.backbone import MiniatureBackbone
from ..reference import Framing
from ..reference_list import ReferenceList
from ..result import StepReport, TrainingResult
from ..settings import TrainingSettings
from ..summary import describe
from ..trainer import train_context_tokens
from ..variants import Augmentation
from . import outputs
from .option_groups import read_augmentation, read_framing, read_references, with_options

DEFAULTS = TrainingSettings()

Output = Annotated[Path, typer.Option(help="Folder for the results; made if it is missing.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same tokens on the same machine.")]
ReductionName = Annotated[str, typer.Option(help="How the mask gets to latent resolution: area or max.")]


@with_options(references=read_references, framing=read_framing, augmentation=read_augmentation)
def train(
    references: ReferenceList,
    framing: Framing,
    augmentation: Augmentation,
    steps: Annotated[int, typer.Option(help="Optimiser steps.")] = DEFAULTS.steps,
    tokens: Annotated[int, typer.Option(help="Context tokens in each block.")] = DEFAULTS.num_tokens,
    init_std: Annotated[float, typer.Option(help="Standard deviation of the tokens before the first step.")] = DEFAULTS.init_std,
    learning_rate: Annotated[str, typer.Option(help="A number, or rates until steps: 0.1:100, 0.01.")] = DEFAULTS.learning_rate,
    seed: Seed = DEFAULTS.seed,
    batch_size: Annotated[int, typer.Option(help="Noised pictures in each step.")] = DEFAULTS.batch_size,
    prior_weight: Annotated[
        float, typer.Option(help="Strength of prior preservation outside the mask; 0 turns it off.")
    ] = DEFAULTS.prior_weight,
    unmasked_weight: Annotated[
        float, typer.Option(help="Weight of the loss where the mask is black, 0 to 1.")
    ] = DEFAULTS.unmasked_weight,
    normalize_area: Annotated[
        bool, typer.Option(help="Divide the loss by the mask's area, so that small masks train as strongly.")
    ] = DEFAULTS.normalize_area,
    reduction: ReductionName = "area",
    output: Output = Path("output/train"),
) -> None:
    """Train on your own pictures and masks."""
    settings = TrainingSettings(
        steps=steps,
        num_tokens=tokens,
        init_std=init_std,
        learning_rate=learning_rate,
        seed=seed,
        batch_size=batch_size,
        prior_weight=prior_weight,
        unmasked_weight=unmasked_weight,
        normalize_area=normalize_area,
    )
    train_and_write(references, settings, framing, output, checked_reduction(reduction), augmentation)


def train_and_write(
    references: ReferenceList,
    settings: TrainingSettings,
    framing: Framing,
    folder: Path,
    reduction: str = "area",
    augmentation: Augmentation = Augmentation(),
) -> TrainingResult:
    """Trains on the miniature, shows progress, writes every result into `folder` and prints the summary."""
    settings.validate()
    outputs.require_writable(folder)
    backbone = MiniatureBackbone()
    with peak_memory(backbone.device) as memory, tqdm(total=settings.steps, unit="step", disable=None) as bar:
        generator = torch.Generator().manual_seed(settings.seed)
        encoded = encode_references(backbone, references, framing, reduction, augmentation, generator)

        def show(report: StepReport) -> None:
            bar.set_postfix(loss=f"{report.loss:.3f}", refresh=False)
            bar.update()

        result = train_context_tokens(backbone, encoded, settings, show)
    unknown = dict.fromkeys(word for reference in encoded for word in backbone.tags.unknown(reference.caption))
    notes = (f"the miniature does not know {', '.join(unknown)}",) if unknown else ()
    outputs.write_results(folder, backbone, references, encoded, framing, result, memory.mib, notes)
    typer.echo(describe(result, memory.mib, notes))
    typer.echo(f"results: {folder}")
    return result


def checked_reduction(reduction: str) -> str:
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction is {reduction!r}, expected one of: {', '.join(REDUCTIONS)}")
    return reduction
