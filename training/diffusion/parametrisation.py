"""What a model's output means, in one algebra for all parametrisations.

Every parametrisation in use reads its model by `denoised = a·x_t + b·output` with a and b of the noise level alone;
that is what ComfyUI's `calculate_denoised` computes, and what k-diffusion calls scalings. So the target that a perfect
output equals is (x0 - a·x_t) / b: the noise for EPS, v for V and V_EDM, noise - x0 for rectified flow.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor


def like_latents(level: Tensor, x: Tensor) -> Tensor:
    """[B] -> [B,1,...] in dtype and on the device of x."""
    return level.to(x).view(-1, *(1,) * (x.ndim - 1))


class Parametrisation(ABC):
    """The conversions of the Backbone protocol, from three things that a model family says: its sigma at a level, how
    noise is added, and how its output is read. Levels and sigmas are [B], latents [B,C,...]."""

    @abstractmethod
    def sigma(self, level: Tensor) -> Tensor:
        """The model's own noise level; rising, and 0 at level 0."""

    @abstractmethod
    def add_noise(self, x0: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """x_t at each row's level."""

    @abstractmethod
    def estimate_x0(self, x_t: Tensor, prediction: Tensor, level: Tensor) -> Tensor:
        """The image that a prediction points to: a·x_t + b·prediction."""

    def model_input(self, x_t: Tensor, level: Tensor) -> Tensor:
        """x_t as the network reads it."""
        return x_t

    def target(self, x0: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """What a perfect prediction would be, for levels above 0."""
        x_t = self.add_noise(x0, noise, level)
        without = self.estimate_x0(x_t, torch.zeros_like(x_t), level)
        return (x0 - without) / (self.estimate_x0(x_t, torch.ones_like(x_t), level) - without)

    def step(self, x_t: Tensor, prediction: Tensor, level: float, following: float) -> Tensor:
        """Euler in sigma along (x_t - x0) / sigma, which is dx/dsigma for all of them (Karras 2022, 2206.00364)."""
        levels = torch.tensor([level, following], device=x_t.device)
        now, then = self.sigma(levels).tolist()
        x0 = self.estimate_x0(x_t, prediction, levels[:1].expand(len(x_t)))
        return x_t + (then - now) / now * (x_t - x0)


class RectifiedFlow(Parametrisation):
    """Anima and the miniature: x_t = (1-σ)·x0 + σ·ε, target ε - x0 (Liu 2022, 2209.03003). In closed form, because the
    general one loses digits near level 0."""

    def sigma(self, level: Tensor) -> Tensor:
        return level

    def add_noise(self, x0: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        sigma = like_latents(level, x0)
        return (1 - sigma) * x0 + sigma * noise

    def target(self, x0: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        return noise - x0

    def estimate_x0(self, x_t: Tensor, prediction: Tensor, level: Tensor) -> Tensor:
        return x_t - like_latents(level, x_t) * prediction

    def step(self, x_t: Tensor, prediction: Tensor, level: float, following: float) -> Tensor:
        return x_t + (following - level) * prediction


@dataclass(frozen=True)
class NoiseTable:
    """The sigmas [T] that a model was trained at, rising: 1000 of them for SD 1.5 and SDXL (Ho 2020, 2006.11239).

    Level n/T is the n-th sigma. Between two, sigma's logarithm is linear in the level, as samplers have it; below the
    first, sigma is.
    """

    sigmas: Tensor

    def sigma(self, level: Tensor) -> Tensor:
        """[B] -> [B] float32 on the level's device."""
        sigmas = self.sigmas.to(level.device, torch.float32)
        place = level.float() * len(sigmas) - 1
        low = place.floor().long().clamp(0, len(sigmas) - 1)
        high = (low + 1).clamp(max=len(sigmas) - 1)
        between = torch.lerp(sigmas[low].log(), sigmas[high].log(), (place - low).clamp(0, 1)).exp()
        return torch.where(place < 0, level.float() * len(sigmas) * sigmas[0], between)

    def level(self, sigma: float) -> float:
        """The level that has this sigma, 0 to 1; the inverse of `sigma`."""
        sigmas = self.sigmas.float().cpu()
        if sigma <= float(sigmas[0]):
            return max(0.0, sigma / float(sigmas[0])) / len(sigmas)
        above = int(torch.searchsorted(sigmas, sigma))
        if above >= len(sigmas):
            return 1.0
        low, high = sigmas[above - 1].log(), sigmas[above].log()
        return (above + float((math.log(sigma) - low) / (high - low))) / len(sigmas)


class Epsilon(Parametrisation):
    """SD 1.5 and SDXL as ComfyUI and k-diffusion have them: x_t = x0 + σ·ε, target ε; the network reads x_t at unit
    variance."""

    def __init__(self, table: NoiseTable) -> None:
        self.table = table

    def sigma(self, level: Tensor) -> Tensor:
        return self.table.sigma(level)

    def add_noise(self, x0: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        return x0 + like_latents(self.sigma(level), x0) * noise

    def model_input(self, x_t: Tensor, level: Tensor) -> Tensor:
        return x_t / (like_latents(self.sigma(level), x_t).square() + 1).sqrt()

    def target(self, x0: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        return noise

    def estimate_x0(self, x_t: Tensor, prediction: Tensor, level: Tensor) -> Tensor:
        return x_t - like_latents(self.sigma(level), x_t) * prediction


class Velocity(Epsilon):
    """Of NoobAI's V models and SD 2: target α·ε - α·σ·x0 with α = 1/√(1+σ²) (Salimans and Ho 2022, 2202.00512). It
    says something of the image at any σ, so that a schedule may end in noise alone (Lin 2023, 2305.08891)."""

    def target(self, x0: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        sigma = like_latents(self.sigma(level), x0)
        return (noise - sigma * x0) / (sigma.square() + 1).sqrt()

    def estimate_x0(self, x_t: Tensor, prediction: Tensor, level: Tensor) -> Tensor:
        sigma = like_latents(self.sigma(level), x_t)
        return x_t / (sigma.square() + 1) - prediction * sigma / (sigma.square() + 1).sqrt()
