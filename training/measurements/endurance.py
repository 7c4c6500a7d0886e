"""Whether a very long run slows down or grows: the steps of a trainer, a tenth of them after another."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from ..reports.memory import peak_mib
from .bench import bare_trainer
from .bench_model import Preset, RandomBackbone
from .ceilings import now

PARTS = 10
RATE = 1e-3


@dataclass(frozen=True)
class Part:
    """steps: how many there were when it ended. seconds: the median of its steps. mib: the peak of the process until
    then, of the allocator on a GPU."""

    steps: int
    seconds: float
    mib: float


def measure(preset: Preset, device: torch.device, steps: int, say: Callable[[str], None]) -> list[Part]:
    """steps is a multiple of PARTS."""
    trainer = bare_trainer(RandomBackbone(preset, device), steps)
    parts: list[Part] = []
    for number in range(PARTS):
        seconds = []
        for _ in range(steps // PARTS):
            started = now(device)
            trainer.step(RATE)
            seconds.append(now(device) - started)
        parts.append(Part((number + 1) * (steps // PARTS), statistics.median(seconds), peak_mib(device)))
        say(line(parts[-1]))
    return parts


def line(part: Part) -> str:
    return f"{part.steps} steps: {part.seconds * 1000:.3g} ms a step, peak {part.mib:.1f} MiB"


def verdict(parts: Sequence[Part]) -> str:
    """From the second part on: the first one warms up."""
    early, last = parts[1], parts[-1]
    fastest, slowest = (pick(part.seconds for part in parts[1:]) for pick in (min, max))
    return (
        f"from {early.steps} to {last.steps} steps: {drift(parts[1:]):+.1%} time a step, "
        f"{last.mib - early.mib:+.1f} MiB; parts took {fastest * 1000:.3g} to {slowest * 1000:.3g} ms a step"
    )


def drift(parts: Sequence[Part]) -> float:
    """By how much of itself the time of a step changed: the median of the slopes between any two parts (Theil 1950, Sen
    1968), over all of them, so that other work on the machine for a while counts little."""
    slopes = [
        (later.seconds - earlier.seconds) / (later.steps - earlier.steps)
        for earlier, later in itertools.combinations(parts, 2)
    ]
    run = parts[-1].steps - parts[0].steps
    return statistics.median(slopes) * run / statistics.median(part.seconds for part in parts)
