"""A backbone of a few hundred numbers whose behaviour is known exactly, and references for it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from anima_fast_train.training import EncodedReference
from anima_fast_train.training.conditioning import Conditioning
from anima_fast_train.training.diffusion.parametrisation import RectifiedFlow
from anima_fast_train.training.trainables.padding_slots import before_zeros, insert_tokens
from anima_fast_train.training.trainables.placed_tokens import Tokens, placed

CHANNELS, WIDTH, BLOCKS = 4, 6, 2


class TinyBackbone(RectifiedFlow):
    """Each latent cell attends to the context by itself, so what happens in one cell cannot reach another.

    `calls` counts the forward passes, `dimensions` (4 or 5) says which latents `encode_image` makes.
    """

    model_family = "tiny"
    num_blocks = BLOCKS
    context_dim = WIDTH
    size_multiple = 16
    level_shift = 1.0
    own_attention = True

    def __init__(self, dimensions: int = 4) -> None:
        generator = torch.Generator().manual_seed(7)
        self.dimensions, self.calls = dimensions, 0
        self.query = torch.randn(BLOCKS, WIDTH, CHANNELS, generator=generator)
        self.value = torch.randn(BLOCKS, CHANNELS, WIDTH, generator=generator)
        self.mix = torch.randn(CHANNELS, CHANNELS, generator=generator) / 2

    def encode_image(self, image: Tensor) -> Tensor:
        """The mean colour and gray of each 8x8 cell, in -1..1."""
        colours = torch.nn.functional.avg_pool2d(image.permute(0, 3, 1, 2) * 2 - 1, 8)
        latent = torch.cat([colours, colours.mean(1, keepdim=True)], dim=1)
        return latent.reshape(len(latent), CHANNELS, *(1,) * (self.dimensions - 4), *latent.shape[-2:])

    def encode_prompt(self, prompt: str) -> Conditioning:
        vectors = torch.zeros(1, 12, WIDTH)
        for place, letter in enumerate(prompt[:3]):
            vectors[0, place] = torch.randn(WIDTH, generator=torch.Generator().manual_seed(ord(letter)))
        return Conditioning(vectors)

    def predict(self, x_t: Tensor, level: Tensor, conditioning: Conditioning, trained: Tokens | None = None) -> Tensor:
        self.calls += 1
        cells = x_t.flatten(2).transpose(1, 2)  # BNC
        out = cells @ self.mix
        for block in range(BLOCKS):
            tokens, context = placed(trained).of_block(block), conditioning.vectors
            seen = context if tokens.joined is None else insert_tokens(context, tokens.joined)
            read = [seen] if tokens.own is None else [seen, before_zeros(tokens.own, context)]
            for each in read:
                scores = cells @ self.query[block].T @ each.transpose(1, 2) / math.sqrt(WIDTH)
                out = out + scores.softmax(-1) @ each @ self.value[block].T
        return out.transpose(1, 2).reshape(x_t.shape)


def tiny_reference(
    backbone: TinyBackbone,
    size: tuple[int, int] = (6, 8),
    mask: Tensor | None = None,
    seed: int = 0,
    five: bool = False,
    weight: float = 1.0,
) -> EncodedReference:
    """A bright square, which the mask selects, on a dark and noisy ground."""
    latent = 0.3 * torch.randn(1, CHANNELS, *size, generator=torch.Generator().manual_seed(seed)) - 0.5
    square = torch.zeros(1, 1, *size)
    square[..., 1:4, 2:5] = 1
    latent = torch.where(square > 0, torch.tensor([1.5, -1.0, 0.5, 1.0]).view(1, -1, 1, 1), latent)
    return EncodedReference(
        latent=latent.unsqueeze(2) if five else latent,
        latent_mask=square if mask is None else mask,
        conditioning=backbone.encode_prompt("ab"),
        weight=weight,
        caption="ab",
        image_size=(size[1] * 8, size[0] * 8),
    )
