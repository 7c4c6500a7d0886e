"""The settings of one pretraining."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .architecture import TransformerSize

Report = Callable[[str, int, int, float], None]


@dataclass(frozen=True)
class DenoiserSettings:
    """What the denoisers of both worlds are pretrained with: the drawn pictures and captions, and the optimiser.

    `report_every` steps the callback gets (stage, step, steps, loss). `compiled` has the denoiser's steps compiled,
    where a C++ compiler is at hand: 0.36 s instead of 0.55 s for the transformer on two cores. The rate of each of the
    `cycles` (steps) rises and falls as in a run of its own, so the weights can be looked at when one ends, and another
    one learns more.
    """

    pictures: int = 32000
    cycles: tuple[int, ...] = (5000, 5000)
    batch_size: int = 48
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    warmup: int = 100
    decay_share: float = 0.35
    ema: float = 0.998
    identity_dropout: float = 0.35
    tag_dropout: float = 0.1
    caption_dropout: float = 0.1
    seed: int = 0
    compiled: bool = False
    report_every: int = 50
    checkpoint_every: int = 100

    @property
    def steps(self) -> int:
        """All steps of the denoiser."""
        return sum(self.cycles)


@dataclass(frozen=True)
class PretrainingSettings(DenoiserSettings):
    """One run of the miniature's pretraining: its codec, then its transformer."""

    codec_steps: int = 5000
    codec_batch: int = 32
    codec_learning_rate: float = 2e-3
    codec_noise: float = 0.05
    size: TransformerSize = TransformerSize()
