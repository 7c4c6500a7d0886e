"""What a model's prompt is, so that nothing above the backbone takes it for one tensor padded with zeros."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional

# Brings vectors [B,L,D] of several prompts to one length.
LengthRule = Callable[[Sequence[Tensor]], list[Tensor]]


def pad_with_zeros(vectors: Sequence[Tensor]) -> list[Tensor]:
    """All as long as the longest: zero vectors end every prompt of Anima, and its attention reads them as sinks."""
    length = max(part.shape[1] for part in vectors)
    return [functional.pad(part, (0, 0, 0, length - part.shape[1])) for part in vectors]


def repeat_to_common_multiple(vectors: Sequence[Tensor]) -> list[Tensor]:
    """Each as often as it takes for all to be of one length: CLIP models read a shorter prompt several times."""
    length = math.lcm(*(part.shape[1] for part in vectors))
    return [part.repeat(1, length // part.shape[1], 1) for part in vectors]


@dataclass(frozen=True)
class Conditioning:
    """The prompts of B rows.

    vectors: [B,L,D]. extras: whatever else the family's model is given with them, by name, a row for each: a pooled
    vector [B,P], sizes, an attention mask. to_one_length: how prompts of different lengths come to share a batch.
    words: between which two vectors the text's own words stand, where others than zeros stand around them.
    used: how many vectors are left without the zeros that end every row, where that is known.
    """

    vectors: Tensor
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    to_one_length: LengthRule = pad_with_zeros
    words: tuple[int, int] | None = None
    used: int | None = None

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def layout(self) -> tuple[tuple[int, ...], ...]:
        """Conditionings of equal layouts fit into one batch."""
        return tuple(tuple(tensor.shape[1:]) for tensor in (self.vectors, *self.extras.values()))

    def to(self, device: torch.device) -> Conditioning:
        extras = {name: tensor.to(device) for name, tensor in self.extras.items()}
        return replace(self, vectors=self.vectors.to(device), extras=extras)

    def used_length(self) -> int:
        """How many vectors are left without the zeros that end every row; waits for the device where `used` is not
        known."""
        return count_used(self.vectors) if self.used is None else self.used

    def knowing(self) -> Conditioning:
        """The same, knowing how many of its vectors are used, so that no step has to wait for the device to ask."""
        return replace(self, used=self.used_length())

    def expand(self, rows: int) -> Conditioning:
        """One prompt for `rows` rows, without copies."""
        extras = {name: tensor.expand(rows, *tensor.shape[1:]) for name, tensor in self.extras.items()}
        return replace(self, vectors=self.vectors.expand(rows, -1, -1), extras=extras)


def cat(parts: Sequence[Conditioning]) -> Conditioning:
    """The rows of all parts, which have equal layouts, one after the other."""
    first = parts[0]
    extras = {name: torch.cat([part.extras[name] for part in parts]) for name in first.extras}
    lengths = [part.used for part in parts]
    used = None if None in lengths else max(length for length in lengths if length is not None)
    return replace(first, vectors=torch.cat([part.vectors for part in parts]), extras=extras, used=used)


def of_one_length(parts: Sequence[Conditioning]) -> list[Conditioning]:
    """The parts with their vectors at one length, by the family's own rule."""
    if len({part.vectors.shape[1] for part in parts}) == 1:
        return list(parts)
    vectors = parts[0].to_one_length([part.vectors for part in parts])
    return [
        replace(part, vectors=longer, used=part.used if part.to_one_length is pad_with_zeros else None)
        for part, longer in zip(parts, vectors, strict=True)
    ]


def count_used(vectors: Tensor) -> int:
    """How many of [B,L,D] are left without the zero vectors that end every row. Waits for the device."""
    places = (vectors != 0).any(-1).any(0).nonzero()
    return int(places[-1]) + 1 if len(places) else 0
