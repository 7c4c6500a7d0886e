"""Chooses the noise levels and the noise that a training step sees.

Sigma runs from 0 (the picture) to 1 (noise), as in rectified flow (Liu 2022, arXiv 2209.03003). Every number is drawn
on the CPU from the generator that was passed in, so a seed means the same on every device.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor


@dataclass(frozen=True)
class SigmaSettings:
    """How sigma is distributed; logit-normal and shift are those of Esser 2024 (arXiv 2403.03206)."""

    distribution: Literal["uniform", "logit_normal"] = "logit_normal"
    mean: float = 0.0  # of logit(sigma) before the shift; above 0 prefers noise
    std: float = 1.0
    shift: float = 1.0  # above 1 moves all levels towards noise; Anima samples with 3
    stratified: bool = True  # one draw from each of B equally likely parts, instead of B free draws

    def __post_init__(self) -> None:
        if self.distribution not in ("uniform", "logit_normal"):
            raise ValueError(f"sigma distribution is {self.distribution!r}, expected 'uniform' or 'logit_normal'")
        for name, value in (("std", self.std), ("shift", self.shift)):
            if not 0 < value < float("inf"):
                raise ValueError(f"sigma {name} is {value}, expected a number above 0")


def sample_sigma(batch_size: int, settings: SigmaSettings, generator: torch.Generator) -> Tensor:
    """`batch_size` noise levels [B], float32, 0..1, in random order.

    Stratified, the batch covers the whole range at each step, which takes the spread between batches out of the
    gradient; each single row still has the distribution that was asked for.
    """
    fraction = torch.rand(batch_size, generator=generator, dtype=torch.float64)
    if settings.stratified:
        # Shuffled, so that no row, and so no reference, always gets the same part of the range.
        fraction = (torch.randperm(batch_size, generator=generator) + fraction) / batch_size
    return sigma_at(fraction, settings).float()


def sigma_grid(count: int, settings: SigmaSettings) -> Tensor:
    """The middles of `count` equally likely parts, rising: [count], float32. A fixed grid for evaluation."""
    return sigma_at((torch.arange(count, dtype=torch.float64) + 0.5) / count, settings).float()


def sigma_at(fraction: Tensor, settings: SigmaSettings) -> Tensor:
    """The sigma below which `fraction` (0..1, any shape) of all draws lie: the quantile function of the
    distribution."""
    if settings.distribution == "logit_normal":
        fraction = torch.sigmoid(settings.mean + settings.std * torch.special.ndtri(fraction))
    return shift_sigma(fraction, settings.shift)


def shift_sigma(sigma: Tensor, shift: float) -> Tensor:
    """s·σ / (1 + (s-1)·σ): what a sampler with this shift does to its steps (Esser 2024, section 5.3.2)."""
    return shift * sigma / (1 + (shift - 1) * sigma)
