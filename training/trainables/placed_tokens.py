"""Where the blocks of a model read tokens: in the prompt's own attention, or in one of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PlacedTokens:
    """Tokens [blocks,K,D], or [B,blocks,K,D] where rows differ; None for none. Of one block the axis of blocks is gone.

    joined: read with the prompt, in one softmax, in which they take their share from its words. own: read in an
    attention of their own, whose result is added to that of the prompt (decoupled, as image prompts are in IP-Adapter,
    Ye 2023, 2308.06721); they share it with as many zero vectors as a prompt has, so that it begins near nothing.
    """

    own: Tensor | None = None
    joined: Tensor | None = None

    @property
    def both(self) -> tuple[Tensor | None, Tensor | None]:
        return self.own, self.joined

    def by_attention(self) -> list[tuple[Tensor, bool]]:
        """Those that are there, each with whether it has an attention of its own."""
        return [(tokens, own) for tokens, own in zip(self.both, (True, False), strict=True) if tokens is not None]

    def and_joined(self, vectors: Tensor) -> PlacedTokens:
        """The same and vectors [...,n,D] behind those that are joined."""
        return PlacedTokens(self.own, vectors if self.joined is None else torch.cat([self.joined, vectors], dim=-2))

    def of_block(self, index: int) -> PlacedTokens:
        return self.each(lambda tokens: tokens[..., index, :, :])

    def each(self, change: Callable[[Tensor], Tensor]) -> PlacedTokens:
        """The same with each of the two changed that is there."""
        return PlacedTokens(*(None if tokens is None else change(tokens) for tokens in self.both))


Tokens = Tensor | PlacedTokens


def told_apart(tokens: Tensor, own: int) -> PlacedTokens:
    """Of tokens [...,K,D] so many, the first, as own, the others as joined."""
    joined = tokens[..., own:, :]
    return PlacedTokens(tokens[..., :own, :] if own else None, joined if joined.shape[-2] else None)


def placed(tokens: Tokens | None) -> PlacedTokens:
    """Tokens of which nothing is said are joined."""
    return tokens if isinstance(tokens, PlacedTokens) else PlacedTokens(joined=tokens)
