"""Runs a stage of pretraining so that it may be stopped at any moment and goes on to the bit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

from ..files.atomic_file import write_atomically
from .pretraining_settings import Report


class Stage(Protocol):
    """A training whose step number `step` depends on its state and that number alone."""

    name: str
    steps: int

    def step(self, number: int) -> float:
        """Trains one step and returns its loss."""

    def state(self) -> dict[str, Any]:
        """Weights, averages and optimisers: all that a step changes."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave."""


def write_checkpoint(value: object, path: Path) -> None:
    """A file there is always whole, whenever the run is ended."""
    write_atomically(path, lambda beside: torch.save(value, beside))


def load_checkpoint(path: Path, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was saved at `path` with these settings; None where there is no file.

    A file of a run with other settings raises ValueError.
    """
    if not path.exists():
        return None
    saved: dict[str, Any] = torch.load(path, weights_only=True, mmap=True)
    changed = [
        f"{name} {saved['settings'].get(name)}, not {value}"
        for name, value in settings.items()
        if saved["settings"].get(name) != value
    ]
    if changed:
        raise ValueError(
            f"{path} is of a pretraining with other settings ({'; '.join(changed)}): name another folder or remove it"
        )
    return saved


def run_stage(
    stage: Stage, path: Path, settings: Mapping[str, Any], every: int, report_every: int, report: Report
) -> None:
    """Trains all steps that `path` does not hold yet, and writes it after every `every` steps and at the end."""
    saved = load_checkpoint(path, settings)
    first = 0
    if saved is not None:
        stage.restore(saved["state"])
        first = saved["step"]
    for number in range(first, stage.steps):
        loss = stage.step(number)
        if number % report_every == 0:
            report(stage.name, number, stage.steps, loss)
        done = number + 1
        if done % every == 0 or done == stage.steps:
            write_checkpoint({"settings": dict(settings), "step": done, "state": stage.state()}, path)
