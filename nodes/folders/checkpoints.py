"""Where training nodes keep checkpoints, in ComfyUI's output folder, and the inputs of Training Options that name
them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from comfy_api.latest import io

from ...training.run_state import CheckpointPlan, TrainingState
from .output_names import place_in_output

FOLDER = "anima_checkpoints"
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class CheckpointOptions:
    """checkpoint_every: steps between two checkpoints, 0 for none; resume_from: empty to start anew. Both names lie in
    FOLDER."""

    checkpoint_every: int = 0
    checkpoint_name: str = "training"
    resume_from: str = ""

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


DEFAULTS = CheckpointOptions()


def checkpoint_path(input_name: str, name: str) -> Path:
    """The file of a checkpoint's name, which may name a subfolder. Raises ValueError where it would lie outside of
    FOLDER."""
    return place_in_output(input_name, name, "a checkpoint", FOLDER, SUFFIX)


def checkpoint_inputs() -> list[io.Input]:
    """All optional, so that workflows from before they came still run."""
    return [
        io.Int.Input(
            "checkpoint_every",
            default=DEFAULTS.checkpoint_every,
            min=0,
            max=100_000,
            optional=True,
            advanced=True,
            tooltip="Save the run after every so many steps, and when it is cancelled, so that it can go on later. 0 "
            "does not.",
        ),
        io.String.Input(
            "checkpoint_name",
            default=DEFAULTS.checkpoint_name,
            optional=True,
            advanced=True,
            tooltip=f"The checkpoint's file in ComfyUI's output folder {FOLDER}; each save takes the place of the one "
            "before.",
        ),
        io.String.Input(
            "resume_from",
            default=DEFAULTS.resume_from,
            optional=True,
            advanced=True,
            tooltip="The name of a checkpoint to go on from, to the same tokens as without the pause; it needs the "
            "same references and settings. Empty starts anew.",
        ),
    ]
