"""How many floating-point operations a training step takes, counted from the shapes; a multiplication and an addition
are two.

What is counted are matrix products and attention, all that is left of a step where nothing is waited for. Norms,
activations and sums are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .block import Kept

MLP_RATIO = 4
PATCH_NUMBERS = 4  # latent cells of a patch


@dataclass(frozen=True)
class StepShape:
    """rows: images of a batch. positions: patches of an image. keys: vectors that cross-attention reads, of context_dim
    numbers. rank: of the modulation. channels: of the latent."""

    blocks: int
    width: int
    rows: int
    positions: int
    keys: int
    context_dim: int
    rank: int
    channels: int = 16

    @property
    def parameters(self) -> int:
        """Weights of the network without norms."""
        block = (8 + 2 * MLP_RATIO - 2) * self.width**2 + 2 * self.context_dim * self.width
        block += 3 * self.rank * 4 * self.width
        outside = 4 * self.width**2 + PATCH_NUMBERS * (2 * self.channels + 1) * self.width + 3 * self.rank * self.width
        return self.blocks * block + outside

    def forward(self) -> int:
        """Of a forward pass."""
        patches = 2 * self.rows * self.positions * PATCH_NUMBERS * (2 * self.channels + 1) * self.width
        time = 2 * self.rows * (4 * self.width**2 + self.rank * 3 * self.width)
        modulation = 2 * self.rows * 3 * self.rank * 4 * self.width
        products = self._self_projections() + self._cross() + self._mlp() + self._prompt() + modulation
        return self.blocks * (products + self._attention(2) + self._cross_attention(2)) + patches + time

    def backward(self, kept: Sequence[Kept]) -> int:
        """Of a backward pass to the tokens of every block: weights are frozen, and nothing before the first
        cross-attention needs a gradient. Attention computes its weights again, whatever is kept."""
        block = self._self_projections() + self._attention(5) + self._cross() + self._cross_attention(5) + self._mlp()
        spared = self._self_projections() + self._attention(5) + 2 * self.rows * self.positions * self.width**2
        last = 2 * self.rows * self.positions * PATCH_NUMBERS * self.channels * self.width
        return self.blocks * (block + self._prompt()) - spared + last + self._again(kept)

    def step(self, kept: Sequence[Kept]) -> int:
        return self.forward() + self.backward(kept)

    def _again(self, kept: Sequence[Kept]) -> int:
        """What the backward pass computes a second time; the first block's self-attention only with its whole block."""
        total = 0
        for number, each in enumerate(kept):
            if each in (Kept.NO_HIDDEN, Kept.NO_PROJECTIONS):
                total += self._mlp() // 2
            if each == Kept.NO_PROJECTIONS:
                total += self._cross() // 2 + self._prompt() + self._cross_attention(2)
                total += self._self_projections() * 3 // 4 if number else 0
            if each == Kept.INPUT:
                total += self._self_projections() + self._attention(2) + self._mlp()
                total += self._cross() + self._prompt() + self._cross_attention(2)
        return total

    def _self_projections(self) -> int:
        return 2 * self.rows * self.positions * 4 * self.width**2

    def _cross(self) -> int:
        return 2 * self.rows * self.positions * 2 * self.width**2

    def _mlp(self) -> int:
        return 2 * self.rows * self.positions * 2 * MLP_RATIO * self.width**2

    def _prompt(self) -> int:
        return 2 * self.rows * self.keys * 2 * self.context_dim * self.width

    def _attention(self, products: int) -> int:
        return 2 * self.rows * products * self.positions**2 * self.width

    def _cross_attention(self, products: int) -> int:
        return 2 * self.rows * products * self.positions * self.keys * self.width
