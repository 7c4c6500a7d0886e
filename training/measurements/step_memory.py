"""How much memory a piece of work takes at its height, counted from what torch's allocator gave and took back."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.profiler import ProfilerActivity, profile


@dataclass(frozen=True)
class StepMemory:
    """Bytes above what was there before: at the height of the work, and what it left behind."""

    peak: int
    left: int


def memory_of(work: Callable[[], object], device: torch.device) -> StepMemory:
    """Tensors alone: weights that were there before, libraries and threads are not in it. Whatever `work` gives is let
    go."""
    gc.collect()
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        work()
        torch.cuda.synchronize(device)
        peak, left = torch.cuda.max_memory_allocated(device), torch.cuda.memory_allocated(device)
        return StepMemory(peak - before, left - before)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as profiler:
        work()
    assert profiler.profiler is not None
    events = profiler.profiler.kineto_results.events()
    changes = [(event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]"]
    now = peak = 0
    for _, change in sorted(changes):
        now += change
        peak = max(peak, now)
    return StepMemory(peak, now)
