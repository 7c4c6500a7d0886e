"""Where training nodes keep checkpoints, in ComfyUI's output folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from ...training.resuming.run_state import CheckpointPlan, TrainingState
from ...training.run_options import FOLDER_OF_CHECKPOINTS as FOLDER
from ...training.run_options import CheckpointSettings
from .output_names import place_in_output

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class CheckpointOptions(CheckpointSettings):
    """Where a node's run is saved, and which one it goes on from. Both names lie in FOLDER."""

    def plan(self) -> CheckpointPlan | None:
        """Where to save, or None where nothing is to be saved. Raises ValueError for a name that leaves the folder."""
        if self.checkpoint_every == 0:
            return None
        return CheckpointPlan(checkpoint_path("checkpoint_name", self.checkpoint_name), self.checkpoint_every)

    def resumed_state(self) -> TrainingState | None:
        """What to go on from. Raises ValueError for a name that leaves the folder, or that is no checkpoint."""
        if not self.resume_from.strip():
            return None
        with torch.inference_mode(False):  # or the optimiser could not update what was loaded
            return TrainingState.load(checkpoint_path("resume_from", self.resume_from))


def checkpoint_path(input_name: str, name: str) -> Path:
    """The file of a checkpoint's name, which may name a subfolder. Raises ValueError where it would lie outside of
    FOLDER."""
    return place_in_output(input_name, name, "a checkpoint", FOLDER, SUFFIX)
