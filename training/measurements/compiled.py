"""Times a training step whose blocks torch.compile has fused where it can beside the same step as it is, and says after
how many steps the time that compiling takes is won back."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

import torch

from ..fast_path.block import through_block
from .bench import GIB, BareStep
from .bench_model import Preset, RandomBackbone
from .ceilings import now
from .step_memory import memory_of


@dataclass(frozen=True)
class OneWay:
    """Seconds of the first step, which compiles and warms up, the median of those after it, and bytes above the
    weights."""

    first: float
    step: float
    peak_bytes: int


@dataclass(frozen=True)
class Compiling:
    """A bare step of blocks that keep all, as it is and compiled."""

    plain: OneWay
    compiled: OneWay

    @property
    def seconds(self) -> float:
        """That compiling takes."""
        return max(0.0, self.compiled.first - self.plain.first)

    @property
    def won_back_after(self) -> float:
        """Steps; infinite where compiled ones are not faster."""
        won = self.plain.step - self.compiled.step
        return self.seconds / won if won > 0 else math.inf


def measure(preset: Preset, device: torch.device, rounds: int) -> Compiling:
    """Rounds of each kind of step, in turn. Raises ValueError where torch cannot compile."""
    from torch._dynamo.exc import TorchDynamoException  # slow to import

    backbone = RandomBackbone(preset, device)
    step, kinds = BareStep(backbone), (through_block, torch.compile(through_block, dynamic=False))
    times: list[list[float]] = [[], []]
    for _ in range(rounds + 1):
        for through, taken in zip(kinds, times, strict=True):
            backbone.through = through
            started = now(device)
            try:
                step.timed()
            except TorchDynamoException as error:
                reason = str(error).partition("\n")[0]
                raise ValueError(f"--compiled came, but torch.compile fails here: {reason}") from error
            taken.append(now(device) - started)
    ways = []
    for through, (first, *others) in zip(kinds, times, strict=True):
        backbone.through = through
        ways.append(OneWay(first, statistics.median(others), memory_of(step.gradients, device).peak))
    return Compiling(*ways)


def table(result: Compiling) -> str:
    """For a reader."""
    plain, compiled, after = result.plain, result.compiled, result.won_back_after
    end = "which is never won back" if math.isinf(after) else f"won back after {math.ceil(after)} steps"
    return (
        f"a step: {plain.step:.3g} s, with compiled blocks {compiled.step:.3g} s, which is "
        f"{compiled.step / plain.step:.2f} of it; memory above the weights: {compiled.peak_bytes / GIB:.3g} GiB "
        f"instead of {plain.peak_bytes / GIB:.3g}; compiling took {result.seconds:.3g} s, {end}"
    )
