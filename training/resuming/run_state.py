"""A training run on disk, so that a cancel, a crash or a power cut costs at most the steps since the last checkpoint.

One safetensors file: tensors as they are, so that a resumed run continues bit by bit, and a JSON record in its
metadata.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..files.atomic_file import write_atomically

FORMAT = "anima_fast_train.checkpoint"
FORMAT_VERSION = "1"


@dataclass(frozen=True)
class CheckpointPlan:
    """Where a run is saved, and after how many steps each time; it is also saved when it is cancelled."""

    path: Path
    every: int = 100

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"checkpoint interval is {self.every}, expected 1 step or more")


@dataclass(frozen=True)
class TrainingState:
    """tensors by name, and a record of plain JSON values: settings, references, what was measured of them, history,
    position."""

    tensors: dict[str, Tensor]
    record: dict[str, Any]

    def save(self, path: Path) -> None:
        """Whole or not at all. Raises OSError in one sentence."""
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors.items()}
        metadata = {"format": FORMAT, "format_version": FORMAT_VERSION, "record": json.dumps(self.record)}
        write_atomically(path, safetensors.torch.save(tensors, metadata))

    @classmethod
    def load(cls, path: Path) -> TrainingState:
        """Raises one ValueError that names the file where it is no whole checkpoint."""
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}
        except (OSError, SafetensorError) as error:
            raise ValueError(f"checkpoint {str(path)!r} cannot be read: {error}") from error
        if metadata.get("format") != FORMAT or metadata.get("format_version") != FORMAT_VERSION:
            raise ValueError(f"{str(path)!r} is not a checkpoint of AnimaFastTrain {FORMAT_VERSION}")
        return cls(tensors, json.loads(metadata["record"]))

    def check_fits(self, **expected: dict[str, Any]) -> None:
        """Raises ValueError that names the first value that differs from what this run has, group by group."""
        for group, values in expected.items():
            saved = self.record.get(group, {})
            for name, value in json.loads(json.dumps(values)).items():
                if not _same(saved.get(name), value, group):
                    raise ValueError(
                        f"cannot resume: {name} is {value} here and {saved.get(name)} in the checkpoint, expected the "
                        "same"
                    )


def _same(saved: Any, here: Any, group: str) -> bool:
    """What was measured is compared with a tolerance, because an encoder on a GPU does not repeat its last digits."""
    if group == "measured" and isinstance(saved, float) and isinstance(here, float):
        return math.isclose(saved, here, rel_tol=1e-3, abs_tol=1e-3)
    return bool(saved == here)
