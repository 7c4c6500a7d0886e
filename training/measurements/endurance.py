"""Whether a very long run slows down or grows: the steps of a trainer, a tenth of them after another, beside those of a
trainer that begins anew with each tenth and so knows of nothing but how fast the machine is just then."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from ..reports.memory import peak_mib
from ..trainer import Trainer
from .bench import bare_trainer
from .bench_model import Preset, RandomBackbone
from .ceilings import now

PARTS = 10
YOUNG_EVERY = 5  # steps of the long run to one of the trainer that begins anew
RATE = 1e-3


@dataclass(frozen=True)
class Part:
    """steps: how many there were when it ended. seconds: the median of its steps; young: of those of the trainer that
    began with it. mib: the peak of the process until then, of the allocator on a GPU."""

    steps: int
    seconds: float
    young: float
    mib: float


def measure(preset: Preset, device: torch.device, steps: int, say: Callable[[str], None]) -> list[Part]:
    """steps is a multiple of PARTS."""
    backbone = RandomBackbone(preset, device)
    old = bare_trainer(backbone, steps)
    parts: list[Part] = []
    for number in range(PARTS):
        young = bare_trainer(backbone, steps)
        seconds, young_seconds = [], []
        for step in range(steps // PARTS):
            seconds.append(_timed_step(old, device))
            if step % YOUNG_EVERY == 0:
                young_seconds.append(_timed_step(young, device))
        medians = statistics.median(seconds), statistics.median(young_seconds)
        parts.append(Part((number + 1) * (steps // PARTS), *medians, peak_mib(device)))
        say(line(parts[-1]))
    return parts


def _timed_step(trainer: Trainer, device: torch.device) -> float:
    started = now(device)
    trainer.step(RATE)
    return now(device) - started


def line(part: Part) -> str:
    return (
        f"{part.steps} steps: {part.seconds * 1000:.3g} ms a step, {part.young * 1000:.3g} ms in a run that has just "
        f"begun, peak {part.mib:.1f} MiB"
    )


def verdict(parts: Sequence[Part]) -> str:
    """From the second part on: the first one warms up."""
    early, last = parts[1], parts[-1]
    fastest, slowest = (pick(part.seconds for part in parts[1:]) for pick in (min, max))
    return (
        f"from {early.steps} to {last.steps} steps: {drift(parts[1:]):+.1%} time a step beside runs that have just "
        f"begun, {last.mib - early.mib:+.1f} MiB; parts took {fastest * 1000:.3g} to {slowest * 1000:.3g} ms a step"
    )


def drift(parts: Sequence[Part]) -> float:
    """By how much of itself the time of a step, over that in a run that has just begun, changed: the median of the
    slopes between any two parts (Theil 1950, Sen 1968), over all of them."""
    ratios = [part.seconds / part.young for part in parts]
    slopes = [
        (ratio - before) / (later.steps - earlier.steps)
        for (earlier, before), (later, ratio) in itertools.combinations(zip(parts, ratios, strict=True), 2)
    ]
    run = parts[-1].steps - parts[0].steps
    return statistics.median(slopes) * run / statistics.median(ratios)
