"""Peak memory of a training run, for the report: of the accelerator where there is one, of the process otherwise."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch


@dataclass
class PeakMemory:
    """`mib` is filled when the context ends."""

    mib: float = 0.0


@contextmanager
def peak_memory(device: torch.device) -> Iterator[PeakMemory]:
    """Measures the highest memory use within the context: CUDA's allocated bytes, or the process's resident set so
    far."""
    measured = PeakMemory()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    try:
        yield measured
    finally:
        measured.mib = peak_mib(device)


def memory_in_use(device: torch.device) -> str:
    """The peak so far in the words of a report, for whoever watches a run; empty where it cannot be measured."""
    mib = peak_mib(device)
    return f"{mib:.0f} MiB" if mib else ""


def peak_mib(device: torch.device) -> float:
    """So far, of CUDA's allocated bytes or of the process; 0 where it cannot be measured."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if sys.platform == "win32":  # no resource module there
        return 0.0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
