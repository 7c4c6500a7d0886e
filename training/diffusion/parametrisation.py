"""The algebra of rectified flow, which Anima and the miniature share: x_t = (1-σ)·x0 + σ·ε, target ε - x0 (Liu
2022)."""

from __future__ import annotations

from torch import Tensor


def _like(sigma: Tensor, x: Tensor) -> Tensor:
    return sigma.to(x).view(-1, *(1,) * (x.ndim - 1))


class RectifiedFlow:
    """The three conversions of the Backbone protocol for a velocity model; sigma is [B], latents [B,C,...]."""

    def add_noise(self, x0: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        level = _like(sigma, x0)
        return (1 - level) * x0 + level * noise

    def target(self, x0: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        return noise - x0

    def estimate_x0(self, x_t: Tensor, prediction: Tensor, sigma: Tensor) -> Tensor:
        return x_t - _like(sigma, x_t) * prediction
