"""Draws latents with a backbone by Euler steps, for previews: the one sampler that needs nothing but `predict`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..backbone import Backbone
from .levels import shift_sigma

# The tokens of a noise level, or None for the model as it is.
TokensAt = Callable[[float], Tensor | None]


@dataclass(frozen=True)
class Guidance:
    """Classifier-free guidance: away from what `context` [1,L,D], with tokens of its own, makes of the picture."""

    scale: float
    context: Tensor
    tokens_at: TokensAt = lambda sigma: None


@torch.no_grad()
def sample_latents(
    backbone: Backbone,
    noise: Tensor,
    context: Tensor,
    tokens_at: TokensAt,
    steps: int,
    guidance: Guidance | None = None,
) -> Tensor:
    """Latents like `noise` [B,C,...], for models whose prediction is a velocity (rectified flow, Liu 2022).

    context: [1,L,D]. The steps are even before the shift that the model samples with.
    """
    rows = len(noise)
    sigmas = shift_sigma(torch.linspace(1, 0, steps + 1), backbone.sigma_shift).tolist()
    x = noise
    for now, following in zip(sigmas, sigmas[1:], strict=False):
        sigma = torch.full((rows,), now, device=x.device)
        velocity = backbone.predict(x, sigma, context.expand(rows, -1, -1), tokens_at(now))
        if guidance is not None:
            unwanted = backbone.predict(x, sigma, guidance.context.expand(rows, -1, -1), guidance.tokens_at(now))
            velocity = unwanted + guidance.scale * (velocity - unwanted)
        x = x + (following - now) * velocity
    return x
