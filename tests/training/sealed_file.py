"""Builds tensor files that this pack would not write, with a checksum that agrees with whatever they hold, as somebody
can who has read how it is made."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

import torch
from torch import Tensor

from anima_fast_train.training.files.tensor_file import checksum
from anima_fast_train.training.files.tensor_file_header import CHECKSUM, DTYPE_NAMES, Entry, Header, header_bytes

WIDTHS = {"C64": 8, "C128": 16, "BOOL": 1, "F8_E4M3": 1, "U64": 8, "I64": 8, "F64": 8, "I32": 4, "I16": 2, "U8": 1}
NOT_FINITE = (float("nan"), float("inf"), -float("inf"))
BEYOND_REASON = (1.1e6, -2e6, 3e38)
WITHIN_REASON = (1e6, -1e6, 0.0, -0.0, 1e-45, 1e-30, 0.1)


@dataclass(frozen=True)
class Part:
    """One tensor as it lies in the file."""

    dtype: str
    shape: tuple[int, ...]
    content: bytes


def part_of(tensor: Tensor) -> Part:
    content = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return Part(DTYPE_NAMES[tensor.dtype], tuple(tensor.shape), content)


def sealed(parts: Mapping[str, Part], metadata: Mapping[str, str]) -> bytes:
    """A whole file with a checksum over all of it."""
    entries, end = [], 0
    for name, part in parts.items():
        entries.append(Entry(name, part.dtype, part.shape, end, end + len(part.content)))
        end += len(part.content)
    digests = {name: sha256(part.content).hexdigest() for name, part in parts.items()}
    seal = {CHECKSUM: checksum(entries, digests, metadata)}
    return header_bytes(Header(tuple(entries), {**metadata, **seal})) + b"".join(
        part.content for part in parts.values()
    )


def with_a_number(tensor: Tensor, number: float, chance: random.Random) -> Tensor:
    """The tensor with this number somewhere in it."""
    changed = tensor.clone()
    changed.view(-1)[chance.randrange(changed.numel())] = number
    return changed


def of_another_dtype(part: Part, chance: random.Random) -> Part:
    """A tensor of the same shape whose numbers are of a kind that nobody trains."""
    dtype, width = chance.choice(list(WIDTHS.items()))
    count = 1
    for side in part.shape:
        count *= side
    return replace(part, dtype=dtype, content=bytes(count * width))
