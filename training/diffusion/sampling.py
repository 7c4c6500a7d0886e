"""Draws latents with a backbone by Euler steps, for previews: the one sampler that needs nothing but the backbone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..backbone import Backbone
from ..conditioning import Conditioning
from .guidance import guide
from .levels import shift_level

# What is trained at a noise level 0..1, or None for the model as it is.
TrainedAt = Callable[[float], Any]


@dataclass(frozen=True)
class Guidance:
    """Away from what the negative prompt, one row, with something trained of its own, makes of the image."""

    scale: float
    conditioning: Conditioning
    trained_at: TrainedAt = lambda level: None


@torch.no_grad()
def sample_latents(
    backbone: Backbone,
    noise: Tensor,
    conditioning: Conditioning,
    trained_at: TrainedAt,
    steps: int,
    guidance: Guidance | None = None,
) -> Tensor:
    """Latents like `noise` [B,C,...], which is of unit variance.

    conditioning: one row for all, or one for each. The steps are even before the shift that the model samples with.
    """
    rows = len(noise)

    def wanted(x: Tensor, level: Tensor, now: float) -> Tensor:
        return backbone.predict(x, level, conditioning.expand(rows), trained_at(now))

    return _by_euler_steps(backbone, noise, wanted, steps, guidance)


@dataclass(frozen=True)
class Region:
    """A prompt, one row, with what is trained, where `mask` [h,w] in latent cells is above 0."""

    mask: Tensor
    conditioning: Conditioning
    trained_at: TrainedAt = lambda level: None


@torch.no_grad()
def sample_regions(
    backbone: Backbone, noise: Tensor, regions: Sequence[Region], steps: int, guidance: Guidance | None = None
) -> Tensor:
    """As `sample_latents`, with the mean of the regions' predictions in each cell, weighted by their masks, as
    ComfyUI's Conditioning (Set Mask) and (Combine) have it. The masks together cover every cell."""
    rows = len(noise)
    weights = torch.stack([region.mask for region in regions])
    weights = weights / weights.sum(0)

    def wanted(x: Tensor, level: Tensor, now: float) -> Tensor:
        return sum(
            (
                weight * backbone.predict(x, level, region.conditioning.expand(rows), region.trained_at(now))
                for weight, region in zip(weights, regions, strict=True)
            ),
            start=torch.zeros_like(x),
        )

    return _by_euler_steps(backbone, noise, wanted, steps, guidance)


def _by_euler_steps(
    backbone: Backbone,
    noise: Tensor,
    wanted: Callable[[Tensor, Tensor, float], Tensor],
    steps: int,
    guidance: Guidance | None,
) -> Tensor:
    """wanted: the prediction at x, at levels [B] that are all the third argument."""
    rows = len(noise)
    levels = shift_level(torch.linspace(1, 0, steps + 1), backbone.level_shift).tolist()
    x = backbone.add_noise(torch.zeros_like(noise), noise, torch.ones(rows, device=noise.device))
    for now, following in zip(levels, levels[1:], strict=False):
        level = torch.full((rows,), now, device=x.device)
        prediction = wanted(x, level, now)
        if guidance is not None:
            unwanted = backbone.predict(x, level, guidance.conditioning.expand(rows), guidance.trained_at(now))
            prediction = guide(prediction, unwanted, guidance.scale)
        x = backbone.step(x, prediction, now, following)
    return x
