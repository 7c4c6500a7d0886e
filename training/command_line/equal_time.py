"""Gives two trainings the same time, as one processor spends it, so that a faster step counts for what it is worth."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from ..encode import EncodedReference
from ..miniature.backbone import MiniatureBackbone
from ..result import TrainingResult
from ..settings import TrainingSettings
from ..trainer import train_context_tokens

PILOTS = (4, 12)  # steps of the two short runs that tell what a step costs


def timed(
    backbone: MiniatureBackbone, references: list[EncodedReference], settings: TrainingSettings
) -> tuple[float, TrainingResult]:
    """Seconds on one processor, which are those of the clock on the wall unless other programs want it too, and the result."""
    with one_thread():
        started = time.process_time()
        result = train_context_tokens(backbone, references, settings)
        return time.process_time() - started, result


@contextmanager
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def steps_within(seconds: float, backbone: MiniatureBackbone, references: list[EncodedReference], settings: TrainingSettings) -> int:
    """Steps that take about so long, everything before the first step included; from two short runs of different length."""
    first, second = (timed(backbone, references, replace(settings, steps=length))[0] for length in PILOTS)
    a_step = max((second - first) / (PILOTS[1] - PILOTS[0]), 1e-4)
    return max(1, PILOTS[1] + round((seconds - second) / a_step))
