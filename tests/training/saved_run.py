"""A small checkpoint as a run saves it, and how a run that goes on from it reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from anima_fast_train.training.files.tensor_file import to_bytes
from anima_fast_train.training.resuming.run_record import check_record
from anima_fast_train.training.resuming.run_state import KIND, LIMITS, TrainingState

STEPS, REFERENCES, ROWS = 20, 2, 4
DONE = 12


def tensors() -> dict[str, torch.Tensor]:
    """Those of a small checkpoint."""
    generator = torch.Generator().manual_seed(3)
    leaf = torch.randn(2, 3, 4, generator=generator)
    return {
        "generator": generator.get_state(),
        "leaf.0": leaf,
        "average.0": leaf / 2,
        "best.tokens": leaf.clone(),
        "updates": torch.tensor(DONE),
        "optimiser.0.step": torch.tensor(float(DONE)),
        "optimiser.0.exp_avg": leaf / 10,
        "optimiser.0.exp_avg_sq": leaf.square(),
    }


def record() -> dict[str, Any]:
    """What the trainer writes after DONE of STEPS steps, one of which was skipped."""
    losses = [1 / (step + 1) for step in range(DONE)]
    losses[4] = float("nan")
    measured = {0: (1.0, 0.3), 5: (0.6, 0.35), 10: (0.5, 0.3)}
    return {
        "settings": {"steps": STEPS, "learning_rate": "0.3", "ema": 0.0, "per_block": True},
        "references": {"model family": "tiny", "number of references": REFERENCES, "caption of reference 1": "初音"},
        "measured": {"coverage of reference 1": 0.25, "mean of the attention map of reference 1": None},
        "history": {
            "losses": losses,
            "prior_losses": [0.01] * DONE,
            "learning_rates": [0.3] * DONE,
            "evaluations": [
                [step, {"inside": inside, "outside": outside, "leak": 0.05}]
                for step, (inside, outside) in measured.items()
            ],
        },
        "position": {"done": DONE, "retries": 1, "drawn": [30, DONE * ROWS - 30], "seconds": 4.5},
        "best": {"step": 10, "lowest": 0.5, "worse": 0},
        "warnings": ["step 5 was skipped because its loss was not finite; the learning rate was halved"],
    }


def saved(contents: dict[str, Any] | None = None) -> bytes:
    """A whole file with a checksum that agrees."""
    text = json.dumps(record() if contents is None else contents)
    return to_bytes(tensors(), {"record": text, "prompt": "1girl, 初音"}, LIMITS, KIND)


def load(path: Path) -> TrainingState:
    """As a run does that goes on from the file; each ValueError is the whole sentence."""
    state = TrainingState.load(path)
    check_record(state.record, steps=STEPS, references=REFERENCES, rows_per_step=ROWS)
    return state


def stands(loaded: dict[str, Any]) -> bool:
    """Whether a run can stand where this record says, judged without the rules under test."""
    history, position, best = (loaded[group] for group in ("history", "position", "best"))
    done, steps = position["done"], [step for step, _ in history["evaluations"]]
    return (
        type(done) is int
        and 0 <= done <= STEPS
        and {len(history[name]) for name in ("losses", "prior_losses", "learning_rates")} == {done}
        and all(0 <= rate <= 1e6 for rate in history["learning_rates"])
        and position["retries"] in range(4)
        and len(position["drawn"]) == REFERENCES
        and min(position["drawn"]) >= 0
        and sum(position["drawn"]) == done * ROWS
        and steps == sorted(set(steps))
        and steps[0] == 0
        and steps[-1] <= done
        and best["step"] in steps
        and best["lowest"] >= 0
        and all(isinstance(warning, str) for warning in loaded["warnings"])
    )
