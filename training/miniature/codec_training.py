"""Trains the miniature's latent codec on crops of the drawn pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import scene
from .autoencoder import CELL, Autoencoder
from .pretraining_pictures import normalised, step_generator
from .pretraining_settings import PretrainingSettings

_CROP = 8 * CELL


class CodecTraining:
    """The stage that learns the codec from uint8 pictures [N,3,128,128]."""

    name = "codec"

    def __init__(self, pictures: Tensor, settings: PretrainingSettings) -> None:
        self._pictures, self._settings = pictures, settings
        self.steps = settings.codec_steps
        with torch.random.fork_rng(devices=[]):  # initialisers of torch.nn take no generator
            torch.manual_seed(settings.seed)
            self.codec = Autoencoder().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimiser = torch.optim.AdamW(self.codec.parameters(), lr=settings.codec_learning_rate, weight_decay=1e-4)

    def step(self, number: int) -> float:
        settings = self._settings
        generator = step_generator(settings.seed, self.name, number)
        rows = torch.randint(len(self._pictures), (settings.codec_batch,), generator=generator)
        top, left = (CELL * torch.randint((scene.SIDE - _CROP) // CELL + 1, (2,), generator=generator)).tolist()
        batch = normalised(self._pictures[rows, :, top : top + _CROP, left : left + _CROP]).contiguous(
            memory_format=torch.channels_last
        )
        with torch.autocast("cpu", torch.bfloat16):
            latent = self.codec.encoder(batch).float()
            noisy = latent + settings.codec_noise * torch.randn(latent.shape, generator=generator)
            restored = self.codec.decoder(noisy).float()
        loss = functional.l1_loss(restored, batch) + functional.mse_loss(restored, batch)
        self._optimiser.param_groups[0]["lr"] = settings.codec_learning_rate * one_cycle(number / self.steps)
        self._optimiser.zero_grad()
        (loss + 1e-3 * latent.square().mean()).backward()
        nn.utils.clip_grad_norm_(self.codec.parameters(), 1.0)
        self._optimiser.step()
        return loss.item()

    def state(self) -> dict[str, Any]:
        return {"codec": self.codec.state_dict(), "optimiser": self._optimiser.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.codec.load_state_dict(state["codec"])
        self._optimiser.load_state_dict(state["optimiser"])


def one_cycle(progress: float, rise: float = 0.1) -> float:
    """The share of the highest rate at a progress of 0..1: a cosine up for the first `rise`, then one down."""
    if progress < rise:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * progress / rise)) / 2
    return (1 + math.cos(math.pi * (progress - rise) / (1 - rise))) / 2


@torch.no_grad()
def scale_latents(codec: Autoencoder, pictures: Tensor) -> Autoencoder:
    """The codec with latents of unit variance a channel over the first thousand pictures."""
    latents = torch.cat([codec.encoder(normalised(chunk)) for chunk in pictures[:1000].split(100)])
    codec.mean.copy_(latents.mean((0, 2, 3), keepdim=True))
    codec.deviation.copy_(latents.std((0, 2, 3), keepdim=True))
    return codec.eval()


@torch.no_grad()
def encode_all(codec: Autoencoder, pictures: Tensor) -> Tensor:
    """Latents [N,16,16,16] in half precision."""
    return torch.cat([codec.encode(normalised(chunk)).half() for chunk in pictures.split(256)])
