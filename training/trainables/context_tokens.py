"""Context tokens: a few vectors for each block of the model, and where asked for an offset to them by noise level.

One set for each block follows P+ (Voynov 2023, 2303.09522); offsets by block and time, starting at zero, follow
SoftREPA (Lee 2025, 2503.08250) and NeTI (Alaluf 2023, 2305.15391).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .placed_tokens import PlacedTokens, told_apart


@dataclass(frozen=True)
class ContextTokens:
    """tokens [blocks,K,D]; time_offsets [blocks,S,K,D], added to them, one for each of S equal ranges of levels, or
    None. own: so many of each block's tokens, the first, are read in an attention of their own, the others with the
    prompt (see `PlacedTokens`).

    Raises ValueError where these do not belong together.
    """

    tokens: Tensor
    time_offsets: Tensor | None = None
    own: int = 0

    def __post_init__(self) -> None:
        for name, tensor, axes in (("tokens", self.tokens, 3), ("time_offsets", self.time_offsets, 4)):
            layout = "[blocks, tokens, context_dim]" if axes == 3 else "[blocks, ranges, tokens, context_dim]"
            if tensor is not None and (tensor.ndim != axes or 0 in tensor.shape):
                raise ValueError(f"{name} have shape {list(tensor.shape)}, expected {layout}")
        offsets = self.time_offsets
        if offsets is not None and (offsets.shape[0], *offsets.shape[2:]) != tuple(self.tokens.shape):
            raise ValueError(
                f"time_offsets have shape {list(offsets.shape)}, expected ranges of levels beside the tokens' "
                f"{list(self.tokens.shape)}"
            )
        if not 0 <= self.own <= self.count:
            raise ValueError(f"own is {self.own}, expected at most the {self.count} tokens that there are")

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], own: int = 0) -> ContextTokens:
        """Of what `tensors` gave."""
        return cls(tensors["tokens"], tensors.get("time_offsets"), own)

    @property
    def num_blocks(self) -> int:
        return self.tokens.shape[0]

    @property
    def count(self) -> int:
        """Tokens for each block."""
        return self.tokens.shape[1]

    @property
    def context_dim(self) -> int:
        return self.tokens.shape[2]

    @property
    def ranges(self) -> int:
        """How many equal ranges of levels have tokens of their own; 1 where all share one set."""
        return 1 if self.time_offsets is None else self.time_offsets.shape[1]

    def at(self, level: Tensor) -> Tensor:
        """The tokens at levels [B]: [blocks,K,D], or [B,blocks,K,D] where they depend on it."""
        if self.time_offsets is None:
            return self.tokens
        chosen = self.time_offsets[:, level_range(level, self.ranges)]
        return self.tokens + chosen.transpose(0, 1)

    def at_level(self, level: float) -> Tensor:
        """The tokens [blocks,K,D] at one level."""
        return self.tokens if self.time_offsets is None else self.at(torch.tensor([level]))[0]

    def placed_at(self, level: Tensor) -> PlacedTokens:
        """As `at`, told apart by where they are read."""
        return told_apart(self.at(level), self.own)

    def placed_at_level(self, level: float) -> PlacedTokens:
        """As `at_level`, told apart by where they are read."""
        return told_apart(self.at_level(level), self.own)

    def scaled(self, scale: float, blocks: Sequence[float] = ()) -> ContextTokens:
        """The same at a strength, and each block at one of its own beside it where `blocks` has one for each."""
        scales = scale * torch.tensor(blocks or [1.0] * self.num_blocks)
        scaled = {
            name: tensor * scales.to(tensor).view(-1, *[1] * (tensor.ndim - 1))
            for name, tensor in self.tensors().items()
        }
        return ContextTokens.of(scaled, self.own)

    def with_ranges(self, ranges: int) -> ContextTokens:
        """The same tokens at every level, with offsets for so many ranges, a multiple of those that there are."""
        offsets = self.time_offsets
        if offsets is None:
            blocks, count, width = self.tokens.shape
            return replace(self, time_offsets=self.tokens.new_zeros(blocks, ranges, count, width))
        return replace(self, time_offsets=offsets.repeat_interleave(ranges // self.ranges, dim=1))

    def with_blocks(self, blocks: int) -> ContextTokens:
        """The same for a model of so many blocks or more, with zeros, which say nothing, in those that it has none
        for."""
        more = max(0, blocks - self.num_blocks)
        longer = {
            name: torch.cat([tensor, tensor.new_zeros(more, *tensor.shape[1:])])
            for name, tensor in self.tensors().items()
        }
        return ContextTokens.of(longer, self.own)

    def part(self, tokens: slice) -> ContextTokens:
        """The same with some of the K tokens of each block."""
        offsets = None if self.time_offsets is None else self.time_offsets[:, :, tokens].contiguous()
        own = sum(index < self.own for index in range(self.count)[tokens])
        return ContextTokens(self.tokens[:, tokens].contiguous(), offsets, own)

    def with_more(self, vectors: Tensor) -> ContextTokens:
        """The same and vectors [n,D] behind the tokens of every block, read with the prompt and alike at every
        level."""
        more = vectors.to(self.tokens).expand(self.num_blocks, -1, -1)
        offsets = self.time_offsets
        if offsets is not None:
            zeros = offsets.new_zeros(*offsets.shape[:2], *vectors.shape)
            offsets = torch.cat([offsets, zeros], dim=2)
        return ContextTokens(torch.cat([self.tokens, more], dim=1), offsets, self.own)

    def tensors(self) -> dict[str, Tensor]:
        """By name, what there is of them."""
        named = {"tokens": self.tokens}
        return named if self.time_offsets is None else named | {"time_offsets": self.time_offsets}


def level_range(level: Tensor, ranges: int) -> Tensor:
    """Which of `ranges` equal parts of 0..1 each level lies in: any shape -> the same of 0..ranges-1."""
    return (level * ranges).long().clamp(0, ranges - 1)
