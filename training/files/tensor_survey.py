"""What there is to judge of a file's tensors before they are in memory: read once, in pieces, to their end."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import BinaryIO

import torch
from torch import Tensor

from .sentences import shown
from .tensor_file_header import DTYPES, Entry, Limits

PIECE = 2**20  # bytes read at once; a multiple of every number's width


@dataclass(frozen=True)
class Survey:
    """What there is to judge of one tensor: the SHA-256 of its bytes and its least and greatest number, NaN where it
    holds one."""

    digest: str
    low: float = 0.0
    high: float = 0.0


def check_values(name: str, survey: Survey, limits: Limits) -> None:
    """Raises ValueError where a number is not finite or its magnitude beyond the limit for this tensor."""
    low, high = survey.low, survey.high
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"{shown(name)} hold numbers that are not finite")
    largest = limits.largest_of(name)
    if max(-low, high) > largest:
        raise ValueError(f"{shown(name)} hold numbers up to {max(-low, high):.4g}, expected at most {largest:g}")


def ends(tensor: Tensor) -> tuple[float, float]:
    """The least and the greatest number, both NaN where there is one."""
    low, high = tensor.aminmax()  # no copy, unlike isfinite
    return low.item(), high.item()


def survey(file: BinaryIO, entry: Entry) -> Survey:
    """Reads one tensor to its end in memory for a piece of it."""
    digest, low, high = hashlib.sha256(), math.inf, -math.inf
    left = entry.end - entry.begin
    if not left:
        return Survey(digest.hexdigest())
    piece = bytearray(min(PIECE, left))
    while left:
        view = memoryview(piece)[: min(PIECE, left)]
        read_into(file, view, entry, left)
        digest.update(view)
        least, greatest = ends(torch.frombuffer(view, dtype=DTYPES[entry.dtype]))
        # min and max keep a NaN that they have, and forget one that comes.
        low, high = (least, greatest) if math.isnan(least) else (min(low, least), max(high, greatest))
        left -= len(view)
    return Survey(digest.hexdigest(), low, high)


def read_into(file: BinaryIO, view: memoryview, entry: Entry, left: int) -> None:
    arrived = file.readinto(view)  # type: ignore[attr-defined]
    if arrived < len(view):
        size = entry.end - entry.begin
        raise ValueError(f"is cut short: tensor {shown(entry.name)} has {size - left + arrived} of {size} bytes")
