"""What the families of joint attention have in common: prompts without padding, patches of 2x2 latent cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from comfy.model_base import BaseModel
from comfy.model_patcher import ModelPatcher
from torch import Tensor
from torch.nn import functional

from ...training.conditioning import Conditioning, pad_with_zeros
from ..models.family import WORDS, ModelFamily
from ..models.sentence_scenery import SCENERY

# A patch is so many latent cells a side.
PATCH = 2


class JointFamily(ModelFamily):
    """Prompts of different lengths share a batch at the length of the longest; how long each is stands beside it."""

    size_multiple = 16
    to_one_length = staticmethod(pad_with_zeros)
    scenery = SCENERY

    def check(self, model: ModelPatcher) -> None:
        return None

    def conditioning(
        self, base: BaseModel, encoded: Tensor, extras: Mapping[str, Any], device: torch.device
    ) -> Conditioning:
        # On the CPU, where it is read without waiting for the device.
        length = torch.tensor([encoded.shape[1]])
        return Conditioning(encoded.float().to(device), {"length": length}, self.to_one_length)

    def made_up_prompt(self, base: BaseModel, generator: torch.Generator) -> Conditioning:
        vectors = torch.randn(1, WORDS, self.context_shape(base)[1], generator=generator)
        return Conditioning(vectors, {"length": torch.tensor([WORDS])}, self.to_one_length)


def positions_of(latents: Sequence[int]) -> int:
    """Patches in one row of latents [B,C,...,h,w]."""
    return -(-latents[-2] // PATCH) * -(-latents[-1] // PATCH)


def text_mask(lengths: Sequence[int], text: int, positions: int, device: torch.device) -> Tensor | None:
    """[B,1,1,text+positions], True where a row has words or picture; None where all rows fill the text."""
    if min(lengths) == text:
        return None
    words = torch.arange(text, device=device) < torch.tensor(lengths, device=device)[:, None]
    return functional.pad(words, (0, positions), value=True)[:, None, None]


def one_length_at_a_time(lengths: Sequence[int], network: Callable[[list[int], int], Tensor], like: Tensor) -> Tensor:
    """For networks that place the picture behind the text and know no masks: rows whose prompts are of one length go
    through together. network: (rows, length) -> output [rows,...]; returns that of all rows, of the shape of `like`."""
    output = torch.empty_like(like)
    for length in dict.fromkeys(lengths):
        rows = [row for row, own in enumerate(lengths) if own == length]
        if len(rows) == len(lengths):
            return network(rows, length)
        output = output.index_copy(0, torch.tensor(rows, device=like.device), network(rows, length))
    return output
