"""A model of a few hundred numbers with every kind of layer that adapters know, as a backbone, and references for
it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from anima_fast_train.training.adapters.acting import acting, adaptable
from anima_fast_train.training.adapters.layers import Layer, adaptable_layers
from anima_fast_train.training.adapters.plan import Adapters
from anima_fast_train.training.conditioning import Conditioning
from anima_fast_train.training.diffusion.parametrisation import RectifiedFlow

CHANNELS, WIDTH = 4, 8


class CrossAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.to_q, self.to_k, self.to_v = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(3))
        self.to_out = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Identity())

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        return self.to_out(functional.scaled_dot_product_attention(self.to_q(x), self.to_k(seen), self.to_v(seen)))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attn2 = CrossAttention()
        self.adaln_modulation_cross_attn = nn.Linear(CHANNELS, WIDTH)
        self.ff = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, x: Tensor, level: Tensor, seen: Tensor) -> Tensor:
        scale = self.adaln_modulation_cross_attn(level[:, None].expand(-1, CHANNELS))
        x = x + self.attn2(x * (1 + scale[:, None]), seen)
        return x + self.ff(x)


class Refiner(nn.Module):
    """Of prompts; a prediction does not pass through it."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.Linear(WIDTH, WIDTH)


class Denoiser(nn.Module):
    def __init__(self, blocks: int = 2, convolutions: bool = True) -> None:
        super().__init__()
        self.refiner = Refiner()
        self.words = nn.Embedding(7, WIDTH)
        side = 3 if convolutions else 1
        self.stem = nn.Conv2d(CHANNELS, WIDTH, side, padding=side // 2) if convolutions else PixelLinear()
        self.blocks = nn.ModuleList(Block() for _ in range(blocks))
        self.final = nn.Linear(WIDTH, CHANNELS)

    def forward(self, x: Tensor, level: Tensor, seen: Tensor) -> Tensor:
        cells = self.stem(x).flatten(2).transpose(1, 2)
        for block in self.blocks:
            cells = block(cells, level, seen)
        return self.final(cells).transpose(1, 2).reshape(x.shape)


class PixelLinear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(CHANNELS, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.movedim(1, -1)).movedim(-1, 1)


def denoiser(seed: int = 1, blocks: int = 2, convolutions: bool = True) -> Denoiser:
    """Frozen, the same for a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Denoiser(blocks, convolutions).requires_grad_(False)


class AdaptableDenoiser(RectifiedFlow):
    """The model as a backbone of four-dimensional latents."""

    size_multiple, level_shift = 16, 1.0

    def __init__(self, model: Denoiser | None = None, model_family: str = "small") -> None:
        self.model, self.model_family = model or denoiser(), model_family

    def encode_prompt(self, prompt: str) -> Conditioning:
        generator = torch.Generator().manual_seed(len(prompt))
        return Conditioning(torch.randn(1, 5, WIDTH, generator=generator))

    def predict(
        self, x_t: Tensor, level: Tensor, conditioning: Conditioning, trained: Adapters | None = None
    ) -> Tensor:
        adapters = None if trained is None else trained.to(x_t.device, torch.float32)
        with adaptable(self.model), acting(adapters):
            return self.model(x_t, level, conditioning.vectors)

    def adaptable_layers(self) -> tuple[Layer, ...]:
        return adaptable_layers(self.model, without=("refiner",))
