"""Trains one row of a manifest into the store, going on where an earlier attempt stopped."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import torch

from ...masking.wording import printable
from ..backbone import TokenBackbone
from ..references.encode import encode_references
from ..reports.summary import verdict
from ..result import StepReport, TrainingResult
from ..resuming.run_state import CheckpointPlan, TrainingState
from ..train_context import context_trainer
from ..trainables.context_file import ReferenceContext
from ..trainer import Trainer
from .plan import Model
from .recipe import Recipe
from .result_name import inputs_of, name_of, picture_digest
from .store import Attempt, Record, Store

OnStep = Callable[[StepReport], None]


class Learn(Protocol):
    """Trains a row on a backbone. steps_done: since it was called last."""

    steps_done: int

    def __call__(self, backbone: TokenBackbone) -> TrainingResult: ...


class TrainingModel(Protocol):
    """A model as a worker holds it from row to row. device: what it trains on. devices: how many of those there are."""

    model: Model
    device: str
    devices: int

    def trained(self, recipe: Recipe, learn: Learn) -> tuple[ReferenceContext, TrainingResult]:
        """What `learn` makes of the backbone, which is made for this recipe; called again where memory was full."""


@dataclass(frozen=True)
class Asked:
    """One row as it is sent to a worker. store_identity: what `Store.prepare` gave. checkpoint_every: in steps. wait:
    until whoever trains the row now is done with it."""

    number: int
    cells: dict[str, str]
    folder: str
    name: str
    store: str
    store_identity: str
    checkpoint_every: int
    wait: bool = False


@dataclass(frozen=True)
class Ended:
    """state: "found" is a result that another process had made, "busy" one that it is making; "failed" comes with a
    sentence in `said`, else that is the verdict. trace: of a mistake of ours."""

    state: Literal["trained", "found", "busy", "failed"]
    said: str = ""
    seconds: float = 0.0
    trace: str = ""


def train_row(asked: Asked, model: TrainingModel, on_step: OnStep) -> Ended:
    """Raises ValueError or OSError in one sentence, and whatever `on_step` raises."""
    store = Store(Path(asked.store))
    store.require(asked.store_identity, platform.node())
    recipe = model.model.recipe(asked.cells, Path(asked.folder))
    inputs = _same_inputs(asked, recipe, model.model)
    with store.claim(asked.name, asked.wait) as held:
        if not held:
            return Ended("busy")
        if store.holds(asked.name):
            record = store.record(asked.name)
            return Ended("found", record.verdict, record.seconds)
        attempt = _Attempt(store, asked, recipe, on_step, inputs)
        context, result = model.trained(recipe, attempt)
        _same_inputs(asked, recipe, model.model)  # or pictures that changed meanwhile would lie under the old name
        said = verdict(result)
        attempt.finish(context, said, result.seconds)
        return Ended("trained", said, result.seconds)


def _same_inputs(asked: Asked, recipe: Recipe, model: Model) -> dict[str, Any]:
    inputs = inputs_of(recipe, model.digest, picture_digest)
    if name_of(inputs) != asked.name:
        raise ValueError(
            f"its pictures or the model on {printable(platform.node(), 40)} are not those that the batch began with, "
            "expected the same; start the batch again"
        )
    return inputs


class _Attempt:
    """One process at one row, whose claim it holds: its `Learn`, and what is written of it."""

    def __init__(self, store: Store, asked: Asked, recipe: Recipe, on_step: OnStep, inputs: dict[str, Any]) -> None:
        self.store, self.asked, self.recipe, self.on_step = store, asked, recipe, on_step
        self.steps_done = 0
        self.before = replace(store.record(asked.name), inputs=inputs)
        self.attempt = Attempt(platform.node(), os.getpid(), 0)

    def __call__(self, backbone: TokenBackbone) -> TrainingResult:
        self.steps_done = 0
        recipe, name = self.recipe, self.asked.name
        generator = torch.Generator().manual_seed(recipe.settings.seed)
        encoded = encode_references(
            backbone, recipe.references(), recipe.framing, recipe.run.mask_reduction, recipe.augmentation, generator
        )

        def trainer(state: TrainingState | None) -> Trainer:
            return context_trainer(backbone, encoded, recipe.settings, resume=state)

        trains = _resumed(trainer, self.store.state(name))
        self.attempt = replace(self.attempt, from_step=trains.position.done)
        self.store.write_record(name, self._record())
        return trains.run(self.stepped, CheckpointPlan(self.store.checkpoint(name), self.asked.checkpoint_every))

    def stepped(self, report: StepReport) -> None:
        self.steps_done += 1
        self.on_step(report)

    def finish(self, context: ReferenceContext, said: str, seconds: float) -> None:
        self.attempt = replace(self.attempt, finished=True)
        self.store.finish(self.asked.name, context, replace(self._record(), verdict=said, seconds=round(seconds, 3)))

    def _record(self) -> Record:
        return replace(self.before, attempts=(*self.before.attempts, self.attempt))


def _resumed(trainer: Callable[[TrainingState | None], Trainer], state: TrainingState | None) -> Trainer:
    """From the state where it fits: a checkpoint of another version is not worth a failed row."""
    if state is not None:
        try:
            trains = trainer(state)
            trains.load_state(state)
            return trains
        except ValueError:
            pass
    return trainer(None)
