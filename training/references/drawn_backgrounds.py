"""Backgrounds that the frozen model draws itself, so that what surrounds a cut-out subject is what the model would
draw there, and the prompt can name it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from ..backbone import Backbone
from ..conditioning import cat, of_one_length
from ..diffusion.sampling import Guidance, sample_latents
from ..forward_passes import CountedBackbone, ForwardPasses
from .scenery import Scenery

# Enough for a background, of which more is hidden than seen.
DRAWING_STEPS = 12
# Drawn at once: as much memory as a training step of this batch size needs without its backward pass.
ROWS = 4


@runtime_checkable
class DrawingBackbone(Protocol):
    """A model that can draw, and whose backgrounds have names."""

    @property
    def scenery(self) -> Scenery: ...

    @property
    def guidance(self) -> float:
        """With which the model is usually sampled; 1 samples without."""

    def encode_image(self, image: Tensor) -> Tensor: ...

    def decode(self, latent: Tensor) -> Tensor:
        """Latents [B,C,...] as `encode_image` gives them to pictures [B,H,W,3] in 0..1."""


def choose_places(scenery: Scenery, count: int, generator: torch.Generator) -> list[str]:
    """`count` different places, or all that there are. generator: a CPU generator."""
    order = torch.randperm(len(scenery.places), generator=generator).tolist()
    return [scenery.places[number] for number in order[:count]]


@torch.no_grad()
def draw_backgrounds(
    backbone: Backbone, places: Sequence[str], size: tuple[int, int], seed: int, passes: ForwardPasses
) -> list[Tensor]:
    """A picture [H,W,3] on the CPU for each place, of (width, height) pixels; the same seed draws the same ones.

    backbone: also a DrawingBackbone. Adds to `passes` DRAWING_STEPS for each place, twice as many with guidance.
    """
    assert isinstance(backbone, DrawingBackbone)
    counted: Backbone = CountedBackbone(backbone, passes)
    width, height = size
    empty = backbone.encode_image(torch.zeros(1, height, width, 3))  # for shape and device alone
    prompts = of_one_length([backbone.encode_prompt(backbone.scenery.prompt_of(place)) for place in places])
    guidance = Guidance(backbone.guidance, backbone.encode_prompt("")) if backbone.guidance != 1 else None
    drawn: list[Tensor] = []
    for first in range(0, len(places), ROWS):
        rows = prompts[first : first + ROWS]
        noises = [
            torch.randn(empty.shape[1:], generator=torch.Generator().manual_seed(seed + first + number))
            for number in range(len(rows))
        ]
        noise = torch.stack(noises).to(empty.device)
        drawn.append(sample_latents(counted, noise, cat(rows), lambda level: None, DRAWING_STEPS, guidance))
    return [
        image[:height, :width].float().cpu()
        for latents in drawn
        for row in latents.split(1)
        for image in backbone.decode(row)
    ]
