"""What a device can do at most, measured: a large matrix product in the precision at hand, and a large copy."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

ROUNDS = 20


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def now(device: torch.device) -> float:
    """Seconds of the clock, after all that the device was given to do."""
    wait_for(device)
    return time.perf_counter()


def seconds_of(work: Callable[[], object], device: torch.device, rounds: int) -> float:
    """The median of several runs after one that warms up."""
    return statistics.median(_times_of(work, device, rounds))


def _fastest_of(work: Callable[[], object], device: torch.device) -> float:
    """What a device can do is what it did at best: a median of few would be lowered by whatever ran beside it."""
    return min(_times_of(work, device, ROUNDS))


def _times_of(work: Callable[[], object], device: torch.device, rounds: int) -> list[float]:
    times = []
    for _ in range(rounds + 1):
        started = now(device)
        work()
        times.append(now(device) - started)
    return times[1:]


def matrix_ceiling(rows: int, width: int, dtype: torch.dtype, device: torch.device) -> float:
    """Operations a second of a product of [rows, width] and [width, 4 width], the largest of a block."""
    left = torch.randn(rows, width, device=device).to(dtype)
    right = torch.randn(width * 4, width, device=device).to(dtype)
    return 8 * rows * width * width / _fastest_of(lambda: torch.nn.functional.linear(left, right), device)


def copy_ceiling(device: torch.device, count: int = 2**26) -> float:
    """Bytes a second that a copy reads and writes."""
    source = torch.zeros(count, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / _fastest_of(lambda: target.copy_(source), device)
