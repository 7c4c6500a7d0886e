"""All that a training run can be told, with the defaults that the nodes, the command line and the tests share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from .diffusion.levels import LevelDistribution
from .learning_rate import LearningRate, Shape, parse_learning_rate

NOT_NEGATIVE = (
    "init_std",
    "negative_tokens",
    "cfg",
    "time_ranges",
    "weight_decay",
    "clip_norm",
    "clip_value",
    "timestep_shift",
    "prior_weight",
    "patience",
    "least_improvement",
    "noise_pool",
)

# AdamW moves each number by about the rate, and tokens are of the order of 1; far larger rates overflow the optimiser.
LARGEST_RATE = 1e6
LARGEST_ATTENTION = 100.0


@dataclass(frozen=True)
class TrainingSettings:
    """One training run. Lengths are in steps, weights multiply losses, shares run from 0 to 1."""

    steps: int = 300
    num_tokens: int = 16
    init_std: float = 0.02  # of the tokens before the first step
    init_text: str = ""  # words whose embeddings the tokens begin at; empty begins near zero
    negative_tokens: int = 0  # a second set for the negative prompt, trained through the guided prediction
    cfg: float = 3.0  # of the guided prediction
    time_ranges: int = 0  # ranges of sigma with an offset of their own; 0 trains one set for all
    learning_rate: str = "0.3"  # a number or the webui's syntax "0.1:100, 0.01"
    rate_shape: Shape = "cosine"
    warm_up: float = 0.02
    seed: int = 0
    batch_size: int = 4
    gradient_accumulation: int = 1
    per_block: bool = True  # one set of tokens for each block; False shares one set
    weight_decay: float = 0.0
    clip_norm: float = 0.0  # of the gradient; 0 does not clip
    clip_value: float = 0.0  # of each entry of the gradient; 0 does not clip
    ema: float = 0.0  # averaging of the tokens, 0.95 to 0.999; 0 keeps the last ones
    timestep_sampling: Literal["uniform", "logit_normal"] = "logit_normal"
    timestep_shift: float = 0.0  # 0 takes the model's own
    stratified: bool = True
    unmasked_weight: float = 0.0
    normalize_area: bool = True
    attention_weight: float = 4.0  # how often white of an attention map counts, where black counts once
    prior_weight: float = 1.6  # prior preservation outside the mask; 0 leaves it out
    balance_prior: bool = True  # count both losses in units of the error before training, inside and outside the mask
    evaluations: int = 4  # times the evaluation loss is measured, the last after the last step
    patience: int = 0  # evaluations without improvement after which training stops; 0 never stops early
    least_improvement: float = 0.01  # share of the best evaluation loss that counts as improvement
    noise_pool: int = 0  # noises whose base predictions are cached; 0 sizes the pool by the length of the run

    def validate(self) -> TrainingSettings:
        """Itself, or a ValueError whose sentence names the input, what came and what was expected."""
        for name, least in (
            ("steps", 1),
            ("num_tokens", 1),
            ("batch_size", 1),
            ("gradient_accumulation", 1),
            ("evaluations", 1),
        ):
            value = getattr(self, name)
            if value < least:
                raise ValueError(f"{name} is {value}, expected {least} or more")
        for name in NOT_NEGATIVE:
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} is {value}, expected 0 or more")
        if not 0 <= self.unmasked_weight <= 1:
            raise ValueError(f"unmasked_weight is {self.unmasked_weight}, expected 0 to 1")
        if not 1 <= self.attention_weight <= LARGEST_ATTENTION:
            raise ValueError(f"attention_weight is {self.attention_weight}, expected 1 (off) to {LARGEST_ATTENTION:g}")
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema is {self.ema}, expected 0 (off) to below 1")
        if not 0 <= self.seed < 2**64:
            raise ValueError(f"seed is {self.seed}, expected 0 to {2**64 - 1}")
        rates = self.schedule().rates(self.steps)
        if not rates:
            raise ValueError(
                f"learning_rate is {self.learning_rate!r}, which ends before the first of {self.steps} steps, expected "
                "one step or more"
            )
        if max(rates) > LARGEST_RATE:
            raise ValueError(f"learning_rate is {self.learning_rate!r}, expected at most {LARGEST_RATE:g}")
        return self

    def schedule(self) -> LearningRate:
        """The learning rate as a schedule. Raises ValueError where the text does not say one."""
        return parse_learning_rate(str(self.learning_rate), self.rate_shape, self.warm_up)

    def level_distribution(self, model_shift: float) -> LevelDistribution:
        """How noise levels are drawn for a model that samples with `model_shift`."""
        return LevelDistribution(self.timestep_sampling, shift=self.timestep_shift or model_shift)
