"""Gives two trainings the same time, as one processor spends it, so that a faster step counts for what it is worth."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from ..miniature.backbone import MiniatureBackbone
from ..references.encode import EncodedReference
from ..result import TrainingResult
from ..settings import TrainingSettings
from ..train_context import train_context_tokens

PILOT_STEPS = 40


def train_timed(
    backbone: MiniatureBackbone, references: list[EncodedReference], settings: TrainingSettings
) -> tuple[float, TrainingResult]:
    """Seconds on one processor, which are those of the clock on the wall unless other programs want it too, and the
    result."""
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


def equal_steps(
    backbone: MiniatureBackbone,
    first: tuple[list[EncodedReference], TrainingSettings],
    second: tuple[list[EncodedReference], TrainingSettings],
) -> int:
    """Steps in which the second training takes about as long as the first; from a short run of each.

    Everything that is done before the first step grows with the run as well, which is why runs of equal length are
    compared.
    """
    pilots = [
        train_timed(backbone, references, replace(settings, steps=PILOT_STEPS))[0]
        for references, settings in (first, second)
    ]
    return max(1, round(first[1].steps * pilots[0] / pilots[1]))
