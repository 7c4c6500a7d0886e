"""The noise that the epsilon world knows: that of Stable Diffusion 1.5 and SDXL."""

from __future__ import annotations

import torch
from torch import Tensor

from ..diffusion.parametrisation import NoiseTable

TIMESTEPS = 1000
_FIRST_BETA, _LAST_BETA = 0.00085, 0.012


def signal_shares() -> Tensor:
    """The share of the image's variance [1000] that is left at each timestep ("scaled linear", Rombach 2022)."""
    betas = torch.linspace(_FIRST_BETA**0.5, _LAST_BETA**0.5, TIMESTEPS, dtype=torch.float64) ** 2
    return (1 - betas).cumprod(0)


def noise_table() -> NoiseTable:
    """Sigmas from 0.029 to 14.6."""
    shares = signal_shares()
    return NoiseTable(((1 - shares) / shares).sqrt().float())


def timestep_of(level: Tensor) -> Tensor:
    """Levels 0..1 [B] to the timesteps 0..999 that the UNet is told, as the table counts them."""
    return (level * TIMESTEPS - 1).clamp(min=0)
