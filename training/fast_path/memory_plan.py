"""How much each block may keep for the backward pass, chosen from the memory at hand: in parts where part is enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .block import Kept

# What one position of one block keeps, in vectors of the model's width: (of the residual stream, of the layers).
# NO_ROTATED: the inputs of three norms; queries and keys before their norm, values and output of self-attention, the
# queries of cross-attention, the hidden layer of the MLP (4). ALL has rotated queries and keys beside them.
VECTORS = {
    Kept.ALL: (3, 12),
    Kept.NO_ROTATED: (3, 9),
    Kept.NO_HIDDEN: (3, 5),
    Kept.NO_PROJECTIONS: (3, 1),
    Kept.INPUT: (1, 0),
}
# The self-attention of the first block, before which nothing is trained, keeps nothing of that.
FIRST_BLOCK_SPARES = {
    Kept.ALL: (1, 6),
    Kept.NO_ROTATED: (1, 4),
    Kept.NO_HIDDEN: (1, 4),
    Kept.NO_PROJECTIONS: (1, 1),
    Kept.INPUT: (0, 0),
}
# What the backward pass of one block holds at its height, a quarter of it in the residual stream: the gradients of the
# hidden layer and what goes with them, and what it brings back.
HEIGHT = {Kept.ALL: 8, Kept.NO_ROTATED: 9, Kept.NO_HIDDEN: 12, Kept.NO_PROJECTIONS: 14, Kept.INPUT: 24}
# Of each vector that cross-attention reads: its key before and after the norm, and its value.
KEY_VECTORS = {Kept.ALL: 3, Kept.NO_ROTATED: 3, Kept.NO_HIDDEN: 3, Kept.NO_PROJECTIONS: 0, Kept.INPUT: 0}
KEY_HEIGHT = 5  # and at the height of one block: these again, or their gradients
# Times what is kept without adapters: the inputs of all layers, 8 vectors, come to the 15.
ADAPTERS_KEEP = 1.6
STATISTICS = 6  # float32 numbers of a position: mean and deviation of three norms; attention adds one for each head
# Of a forward pass, what the backward pass computes again: 4 of the 14 products of a position with a matrix of
# width x width that a forward pass takes, 8 of them, all.
COMPUTED_AGAIN = {Kept.ALL: 0.0, Kept.NO_ROTATED: 0.0, Kept.NO_HIDDEN: 0.29, Kept.NO_PROJECTIONS: 0.57, Kept.INPUT: 1.0}
SHARE_OF_FREE = 0.85  # of the free memory, the rest for what allocators lose between pieces


@dataclass(frozen=True)
class Activations:
    """What decides how much a step keeps. positions: patches of an image times images; the sizes are bytes of a number
    in the layers and in the residual stream. Both weigh little beside a picture of 512 px, and may be left out where
    they are not known: keys, vectors that cross-attention reads, times images, and gradients, the bytes of all
    tokens'."""

    blocks: int
    width: int
    heads: int
    positions: int
    layer_size: int
    residual_size: int
    keys: int = 0
    gradients: int = 0

    def of_block(self, kept: Kept) -> int:
        """Bytes that one block keeps."""
        statistics = 0 if kept == Kept.INPUT else 4 * (STATISTICS + self.heads)
        return self._vectors(*VECTORS[kept]) + self.positions * statistics + self._of_keys(KEY_VECTORS[kept])

    def of_step(self, kept: Sequence[Kept]) -> int:
        """Bytes at the height of a step, above the weights."""
        spared = self._vectors(*FIRST_BLOCK_SPARES[kept[0]])
        height = max(HEIGHT[each] for each in kept)
        working = self._vectors(height // 4, height - height // 4) + self._of_keys(KEY_HEIGHT)
        return sum(self.of_block(each) for each in kept) - spared + working + self.gradients

    def fitting_adapters(self, free: float) -> list[Kept]:
        """The same where adapters learn in the layers: they keep the layers' inputs too, and would get no gradient from
        what attention computes again, so all blocks keep all or their input alone."""
        fits = ADAPTERS_KEEP * self.of_all() <= SHARE_OF_FREE * free
        return [Kept.ALL if fits else Kept.INPUT] * self.blocks

    def of_all(self) -> int:
        """The same where no block forgets anything."""
        return self.of_step([Kept.ALL] * self.blocks)

    def _vectors(self, residual: int, layers: int) -> int:
        return self.positions * self.width * (residual * self.residual_size + layers * self.layer_size)

    def _of_keys(self, vectors: int) -> int:
        return self.keys * self.width * vectors * self.layer_size

    def fitting(self, free: float) -> list[Kept]:
        """What each block keeps where `free` bytes are free: the more is forgotten, the longer a step takes, so no more
        blocks forget than have to; those at the end forget last. All keep their input alone where nothing fits."""
        for level in list(Kept)[:-1]:
            lower = [Kept(level + 1)] * self.blocks
            for spared in range(self.blocks, 0, -1):
                chosen = [*lower[spared:], *[level] * spared]
                if self.of_step(chosen) <= SHARE_OF_FREE * free:
                    return chosen
        return [Kept.INPUT] * self.blocks


def computed_again(kept: Sequence[Kept]) -> float:
    """The share of a forward pass that the backward pass computes again."""
    return sum(COMPUTED_AGAIN[each] for each in kept) / len(kept)
