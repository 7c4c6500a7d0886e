"""The miniature's latent codec: 8x8 pixels become 16 channels, as in Wan's VAE, learned on the drawn pictures.

The encoder looks at one 8x8 cell at a time, so a latent cell holds exactly the pixels below it and a latent mask means
what it says. The decoder also looks at the neighbours, which hides the seams.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CELL = 8
CHANNELS = 16


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(functional.gelu(self.first(functional.gelu(x))))


class Autoencoder(nn.Module):
    """Pictures [B,3,H,W] in -1..1 to latents [B,16,H/8,W/8] of unit variance a channel, and back."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, hidden: int = 160, decoder_width: int = 80) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, hidden, CELL, CELL),
            nn.GELU(),
            nn.Conv2d(hidden, hidden, 1),
            nn.GELU(),
            nn.Conv2d(hidden, CHANNELS, 1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(CHANNELS, decoder_width, 3, padding=1),
            _Residual(decoder_width),
            nn.Conv2d(decoder_width, decoder_width * 2, 1),
            nn.PixelShuffle(2),
            nn.Conv2d(decoder_width // 2, decoder_width // 2, 3, padding=1),
            _Residual(decoder_width // 2),
            nn.GELU(),
            nn.Conv2d(decoder_width // 2, 3 * (CELL // 2) ** 2, 3, padding=1),
            nn.PixelShuffle(CELL // 2),
        )
        self.register_buffer("mean", torch.zeros(1, CHANNELS, 1, 1))
        self.register_buffer("deviation", torch.ones(1, CHANNELS, 1, 1))

    def encode(self, picture: Tensor) -> Tensor:
        return (self.encoder(picture) - self.mean) / self.deviation

    def decode(self, latent: Tensor) -> Tensor:
        return self.decoder(latent * self.deviation + self.mean)
