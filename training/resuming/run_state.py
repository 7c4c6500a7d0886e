"""A training run on disk, so that a cancel, a crash or a power cut costs at most the steps since the last checkpoint.

One safetensors file: tensors as they are, so that a resumed run continues bit by bit, and a JSON record in its
metadata.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..files.sentences import about_file, shown
from ..files.tensor_file import read, write
from ..files.tensor_file_header import Kind, Limits
from .run_record import SETTINGS_OF_0_1, parse_record

KIND = Kind("checkpoint", "a checkpoint of AnimaFastTrain", "anima_fast_train.checkpoint", "1.1", unsealed=("1",))
LIMITS = Limits(
    dtypes=(torch.float32, torch.int64, torch.uint8),
    header_bytes=2**24,  # its record has three numbers for each step
    tensors=8192,
    tensor_bytes=2**30,  # a LoRA of rank 180 on Anima
    total_bytes=5 * 2**30,  # what is trained, its average, the best of it and two moments of the optimiser
    metadata_length=2**24,
    largest_by_name={"optimiser": math.inf, "generator": 255, "updates": 1e9},
)
# A caption from a terminal may hold one, and no file takes it as it is.
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


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
        """Whole or not at all. Raises OSError in one sentence, and ValueError where `load` would not take it back."""
        record = _HALF_CHARACTER.sub(_escaped, json.dumps(self.record, ensure_ascii=False))
        parse_record(record)
        write(path, self.tensors, {"record": record}, LIMITS, KIND)

    @classmethod
    def load(cls, path: Path) -> TrainingState:
        """Raises one ValueError that names the file where it is no whole checkpoint."""
        try:
            file = read(path, LIMITS, KIND)
            return cls(file.tensors, parse_record(file.metadata.get("record", "")))
        except ValueError as error:
            raise ValueError(about_file(KIND.noun, path, error)) from error

    def check_fits(self, **expected: dict[str, Any]) -> None:
        """Raises ValueError that names the first value that differs from what this run has, group by group."""
        for group, values in expected.items():
            saved = self.record.get(group)
            if not isinstance(saved, dict):
                raise ValueError(f"cannot resume: the checkpoint says nothing of its {group}")
            if group == "settings":
                saved = {**SETTINGS_OF_0_1, **saved}
            for name, value in json.loads(json.dumps(values)).items():
                if not _same(saved.get(name), value, group):
                    raise ValueError(
                        f"cannot resume: {name} is {shown(value)} here and {shown(saved.get(name))} in the checkpoint, "
                        "expected the same"
                    )


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _same(saved: Any, here: Any, group: str) -> bool:
    """What was measured is compared with a tolerance, because an encoder on a GPU does not repeat its last digits."""
    if group == "measured" and isinstance(saved, float) and isinstance(here, float):
        return math.isclose(saved, here, rel_tol=1e-3, abs_tol=1e-3)
    return bool(saved == here)
