"""The settings of the epsilon world's pretraining."""

from __future__ import annotations

from dataclasses import dataclass

from ..miniature.pretraining_settings import DenoiserSettings
from .unet import UNetSize


@dataclass(frozen=True)
class UNetSettings(DenoiserSettings):
    """One run of the UNet's pretraining, on pictures of the miniature's world.

    The miniature is asked about `lesson` pictures at a time, and its answers are learned `passes` times. An error
    counts as that of v would, but no more than `largest_weight` times.
    """

    pictures: int = 20000
    cycles: tuple[int, ...] = (2000, 1200)
    batch_size: int = 32
    lesson: int = 2048
    passes: int = 3
    largest_weight: float = 30.0
    size: UNetSize = UNetSize()
