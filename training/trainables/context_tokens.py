"""What is optimised: the context tokens, and where asked for an offset to them for each range of sigma.

One set for each block follows P+ (Voynov 2023, 2303.09522); offsets by block and time, starting at zero, follow
SoftREPA (Lee 2025, 2503.08250) and NeTI (Alaluf 2023, 2305.15391).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..settings import TrainingSettings


@dataclass(frozen=True)
class TrainedTokens:
    """tokens [blocks,K,D]; time_offsets [blocks,S,K,D], one for each of S equal ranges of sigma, or None."""

    tokens: Tensor
    time_offsets: Tensor | None = None

    def at(self, sigma: Tensor) -> Tensor:
        """The tokens at noise levels sigma [B]: [blocks,K,D], or [B,blocks,K,D] where they depend on it."""
        if self.time_offsets is None:
            return self.tokens
        chosen = self.time_offsets[:, sigma_range(sigma, self.time_offsets.shape[1])]
        return self.tokens + chosen.transpose(0, 1)

    def part(self, tokens: slice) -> TrainedTokens:
        """The same with some of the K tokens of each block."""
        offsets = None if self.time_offsets is None else self.time_offsets[:, :, tokens].contiguous()
        return TrainedTokens(self.tokens[:, tokens].contiguous(), offsets)


def sigma_range(sigma: Tensor, ranges: int) -> Tensor:
    """Which of `ranges` equal parts of 0..1 each sigma lies in: [B] -> [B] of 0..ranges-1."""
    return (sigma * ranges).long().clamp(0, ranges - 1)


class TokenParameters:
    """The leaves of the optimiser with their running average, float32 on one device.

    start: [n,D] vectors that the first tokens begin at, repeated until there are K, or None to begin near zero.
    """

    def __init__(
        self,
        blocks: int,
        context_dim: int,
        settings: TrainingSettings,
        generator: torch.Generator,
        device: torch.device,
        start: Tensor | None = None,
    ) -> None:
        self._blocks, self._ema = blocks, settings.ema
        count = settings.num_tokens + settings.negative_tokens
        sets = blocks if settings.per_block else 1
        tokens = settings.init_std * torch.randn(sets, count, context_dim, generator=generator)
        if start is not None:
            rows = torch.arange(settings.num_tokens) % len(start)
            tokens[:, : settings.num_tokens] += start.float().cpu()[rows]
        self.leaves = [tokens.to(device).requires_grad_()]
        if settings.time_ranges > 0:
            offsets = torch.zeros(sets, settings.time_ranges, count, context_dim, device=device)
            self.leaves.append(offsets.requires_grad_())
        self._averages = [torch.zeros_like(leaf, requires_grad=False) for leaf in self.leaves]
        self._updates = 0

    def current(self) -> TrainedTokens:
        """The tokens as they are, attached to the leaves, for every block."""
        return self._for_blocks(self.leaves)

    def update_average(self) -> None:
        """Call after each optimiser step."""
        self._updates += 1
        for average, leaf in zip(self._averages, self.leaves, strict=True):
            average.lerp_(leaf.detach(), 1 - self._ema)

    @torch.no_grad()
    def kept(self) -> TrainedTokens:
        """A copy of what a context should hold: the average corrected for its start at zero, or the tokens as they
        are."""
        if self._ema == 0 or self._updates == 0:
            return self._for_blocks([leaf.detach().clone() for leaf in self.leaves])
        return self._for_blocks([average / (1 - self._ema**self._updates) for average in self._averages])

    @torch.no_grad()
    def reset_to(self, tokens: TrainedTokens) -> None:
        """Goes back to earlier tokens, the average with them."""
        sources = [tokens.tokens, tokens.time_offsets]
        for leaf, average, source in zip(self.leaves, self._averages, sources, strict=False):
            assert source is not None
            leaf.copy_(source[: leaf.shape[0]])
            average.zero_()
        self._updates = 0

    def state(self) -> dict[str, Tensor]:
        """Everything to save, by name."""
        named = {f"leaf.{n}": leaf.detach() for n, leaf in enumerate(self.leaves)}
        return (
            named
            | {f"average.{n}": average for n, average in enumerate(self._averages)}
            | {"updates": torch.tensor(self._updates)}
        )

    @torch.no_grad()
    def load_state(self, tensors: dict[str, Tensor]) -> None:
        for number, (leaf, average) in enumerate(zip(self.leaves, self._averages, strict=True)):
            leaf.copy_(tensors[f"leaf.{number}"])
            average.copy_(tensors[f"average.{number}"])
        self._updates = int(tensors["updates"])

    def _for_blocks(self, parts: Sequence[Tensor]) -> TrainedTokens:
        expanded = [part.expand(self._blocks, *part.shape[1:]) for part in parts]
        return TrainedTokens(*expanded)
