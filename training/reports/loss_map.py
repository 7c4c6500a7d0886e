"""A run's history as ComfyUI's LOSS_MAP, a dictionary whose "loss" is a list with a number for each step, and back.

What "loss" does not say stands beside it under keys that ComfyUI's own Plot Loss Graph does not ask for.
"""

from __future__ import annotations

from typing import Any

from ..evaluation import Evaluation
from ..result import History


def loss_map_of(history: History) -> dict[str, Any]:
    """Plain lists: loss, prior_loss and learning_rate by step; evaluation: steps (0 is the model without tokens) and
    what was measured."""
    measured = sorted(history.evaluations.items())
    return {
        "loss": list(history.losses),
        "prior_loss": list(history.prior_losses),
        "learning_rate": list(history.learning_rates),
        "evaluation": {
            "step": [step for step, _ in measured],
            "inside": [evaluation.inside for _, evaluation in measured],
            "outside": [evaluation.outside for _, evaluation in measured],
            "leak": [evaluation.leak for _, evaluation in measured],
        },
    }


def history_of(loss_map: Any) -> History:
    """The history of any LOSS_MAP; one with "loss" alone, as from ComfyUI's Train LoRA, has nothing else.

    Raises ValueError where there is no loss in it, or where its lists do not belong together.
    """
    losses = loss_map.get("loss") if isinstance(loss_map, dict) else None
    if not losses:
        came = f"{sorted(loss_map)} without a loss" if isinstance(loss_map, dict) else type(loss_map).__name__
        raise ValueError(f"loss_map is {came}, expected the loss_map of a training node with a loss for each step")
    priors, rates = (list(map(float, loss_map.get(name) or ())) for name in ("prior_loss", "learning_rate"))
    for name, values in (("prior_loss", priors), ("learning_rate", rates)):
        if len(values) not in (0, len(losses)):
            raise ValueError(
                f"loss_map has {len(values)} values of {name} and {len(losses)} losses, expected as many or none"
            )
    measured = loss_map.get("evaluation") or {"step": (), "inside": (), "outside": (), "leak": ()}
    columns = (measured["step"], measured["inside"], measured["outside"], measured["leak"])
    evaluations = {int(step): Evaluation(*values) for step, *values in zip(*columns, strict=True)}
    return History([float(loss) for loss in losses], priors, rates, evaluations)
