"""Finds the learning rate of a run by trying: steps of a rising rate on one fixed set of noised pictures, all undone
again.

The range test of Smith (2017, 1506.01186), without its noise: every trial step sees the same pictures, levels and
noises, so the loss falls until the rate is too high, and the rate of the turn depends on nothing but model and picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .trainables.trainable import Trainable

LOWEST, HIGHEST = 1e-3, 1.0  # in the units of the leaves
STEPS = 12
# The search ends where the loss has risen this far above its lowest: the turn is behind it.
RISEN = 1.25
# What of the fall may be lost again before the turn.
FLAT = 0.1
# Of the rate at the turn, what a whole run is trained with: what one step bears is too much for many.
SHARE = 0.5


@dataclass(frozen=True)
class FoundRate:
    """The rate, and how many trial steps it took."""

    rate: float
    steps: int


def find_rate(
    trainable: Trainable,
    optimiser: Callable[[Sequence[Tensor]], torch.optim.Optimizer],
    accumulate_gradients: Callable[[], float],
    share: float = SHARE,
) -> FoundRate:
    """Leaves the trainable as it was.

    optimiser: makes one for the leaves, of rate 1. accumulate_gradients: adds the gradients of the fixed set to the
    leaves and returns the loss there.
    """
    before = {name: value.clone() for name, value in trainable.state().items()}
    trial = optimiser(trainable.leaves)
    rates = [LOWEST * (HIGHEST / LOWEST) ** (step / (STEPS - 1)) for step in range(STEPS)]
    losses: list[float] = []
    for rate in rates:
        loss = accumulate_gradients()
        losses.append(loss)
        if not math.isfinite(loss) or loss > RISEN * min(losses):
            break
        for group in trial.param_groups:
            group["lr"] = rate
        trial.step()
        trial.zero_grad()
        trainable.after_step()
    for leaf in trainable.leaves:
        leaf.grad = None
    trainable.load_state(before)
    return FoundRate(share * rates[turn_of(losses) - 1], len(losses))


def turn_of(losses: Sequence[float]) -> int:
    """After which step, from 1, the loss stops falling: the last at which nearly all of its fall was left, since the
    lowest of a flat valley is chance. losses[i] is what the first i steps led to; 1 where the first is not finite."""
    finite = [loss if math.isfinite(loss) else math.inf for loss in losses]
    if finite[0] == math.inf:
        return 1
    lowest = min(finite)
    flat = lowest + FLAT * (finite[0] - lowest)
    return max(1, max(step for step, loss in enumerate(finite) if loss <= flat))
