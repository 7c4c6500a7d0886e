"""Chooses the noise levels that training and evaluation see.

A level runs from 0 (the image) to 1 (noise) for every model; in rectified flow (Liu 2022, arXiv 2209.03003) it is sigma
itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor


@dataclass(frozen=True)
class LevelDistribution:
    """How levels are distributed; logit-normal and shift are those of Esser 2024 (arXiv 2403.03206)."""

    distribution: Literal["uniform", "logit_normal"] = "logit_normal"
    mean: float = 0.0  # of logit(level) before the shift; above 0 prefers noise
    std: float = 1.0
    shift: float = 1.0  # above 1 moves all levels towards noise; Anima samples with 3

    def __post_init__(self) -> None:
        if self.distribution not in ("uniform", "logit_normal"):
            raise ValueError(f"level distribution is {self.distribution!r}, expected 'uniform' or 'logit_normal'")
        for name, value in (("std", self.std), ("shift", self.shift)):
            if not 0 < value < float("inf"):
                raise ValueError(f"level {name} is {value}, expected a number above 0")


def level_at(fraction: Tensor, distribution: LevelDistribution) -> Tensor:
    """The level below which `fraction` (0..1, any shape) of all draws lie: the quantile function of the
    distribution."""
    if distribution.distribution == "logit_normal":
        fraction = torch.sigmoid(distribution.mean + distribution.std * torch.special.ndtri(fraction))
    return shift_level(fraction, distribution.shift)


def shift_level(level: Tensor, shift: float) -> Tensor:
    """s·t / (1 + (s-1)·t): what a sampler with this shift does to its steps (Esser 2024, section 5.3.2)."""
    return shift * level / (1 + (shift - 1) * level)
