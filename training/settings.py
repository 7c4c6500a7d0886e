"""All that a training run can be told, with the defaults that the nodes, the command line and the tests share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ..declared import ARTIST, check, setting, shortened, to_record
from .diffusion.levels import LevelDistribution
from .learning_rate import AUTOMATIC, LearningRate, Shape, parse_learning_rate
from .loss_settings import LOSS, LossSettings
from .token_settings import SCHEDULE, TOKENS, TRAINING, TokenSettings

# AdamW moves each number by about the rate, and prompt vectors count as 1; far larger rates overflow the optimiser.
LARGEST_RATE = 1e6


@dataclass(frozen=True)
class TrainingSettings(LossSettings, TokenSettings):
    """One training run. Lengths are in steps, weights multiply losses, shares run from 0 to 1."""

    steps: int = setting(
        600,
        help="Training steps. 200 show whether it works; watch the evaluation loss in info to see whether more would "
        "help.",
        topic=TRAINING,
        audience=ARTIST,
        least=1,
        most=100_000,  # a checkpoint's record has three numbers for each
        widget_most=100_000,
        unit="steps",
        node_id="train_steps",
    )
    learning_rate: str = setting(
        AUTOMATIC,
        help="How far a step moves what is trained: auto tries out what suits the model and the picture; or a number, "
        "or a schedule as in the webui: 0.1:100, 0.01 is 0.1 for 100 steps, then 0.01.",
        topic=TRAINING,
        audience=ARTIST,
        longest=1000,
    )
    rate_shape: Shape = setting(
        "cosine",
        help="How the learning rate falls over the run: cosine slowly at both ends, linear evenly, constant not at "
        "all.",
        topic=SCHEDULE,
    )
    warm_up: float = setting(
        0.02,
        help="Share of the run in which the learning rate rises from near 0.",
        topic=SCHEDULE,
        least=0.0,
        most=1.0,
        below=True,
        widget_most=0.99,
        step=0.01,
    )
    seed: int = setting(
        0,
        help="Start of all randomness: the same seed trains the same again on the same machine.",
        topic=TRAINING,
        audience=ARTIST,
        least=0,
        most=2**64 - 1,
    )
    batch_size: int = setting(
        4,
        help="Noised versions of the references seen in one step. More give steadier steps and need more memory and "
        "time.",
        topic=LOSS,
        audience=ARTIST,
        least=1,
        most=1000,
        widget_most=64,
    )
    gradient_accumulation: int = setting(
        1,
        help="Batches added up before the tokens move. As steady as a larger batch, without its memory.",
        topic=LOSS,
        audience=ARTIST,
        least=1,
        most=10_000,
        widget_most=256,
    )
    weight_decay: float = setting(
        0.0,
        help="Pulls what is trained towards zero in each step. Raise it when that overpowers the prompt. 0 is none for "
        "tokens and embeddings, and 0.3 for a LoRA.",
        topic=SCHEDULE,
        least=0.0,
        most=1000.0,
        widget_most=1.0,
        step=0.001,
    )
    clip_norm: float = setting(
        0.0,
        help="Shortens larger gradients to this length, against sudden jumps of the loss. 0 does not.",
        topic=SCHEDULE,
        least=0.0,
        most=1e6,
        widget_most=100.0,
        step=0.1,
    )
    clip_value: float = setting(
        0.0,
        help="Limits each entry of the gradient to this size. 0 does not.",
        topic=TOKENS,
        least=0.0,
        most=1e6,
        widget_most=100.0,
        step=0.001,
        rounded=False,
    )
    ema: float = setting(
        0.0,
        help="Keeps a running average of the tokens instead of the last ones; 0.99 averages about 100 steps, 0 is off.",
        topic=SCHEDULE,
        least=0.0,
        most=1.0,
        below=True,
        off=0.0,
        widget_most=0.9999,
        step=0.0001,
        rounded=False,
    )
    timestep_sampling: Literal["uniform", "logit_normal"] = setting(
        "logit_normal",
        help="Which noise levels are trained: logit_normal prefers the middle ones, uniform takes all alike.",
        topic=SCHEDULE,
        choices=("logit_normal", "uniform"),
    )
    timestep_shift: float = setting(
        0.0,
        help="Moves training towards noisy levels, where composition is decided. 0 takes the shift the model samples "
        "with.",
        topic=SCHEDULE,
        least=0.0,
        most=1000.0,
        widget_most=100.0,
        step=0.1,
    )
    stratified: bool = setting(
        True,
        help="On: the pictures of a batch share the noise levels out among them. Off: each draws its own, by chance.",
        topic=SCHEDULE,
    )
    evaluations: int = setting(
        4,
        help="How often the evaluation loss is measured, the last time after the last step. It tells overfitting from "
        "progress.",
        topic=SCHEDULE,
        least=1,
        most=10_000,
        widget_most=100,
    )
    patience: int = setting(
        0,
        help="Stop when so many evaluations in a row brought no improvement. 0 runs all steps. The best tokens are "
        "kept either way.",
        topic=TOKENS,
        least=0,
        most=10_000,
        widget_most=100,
    )
    least_improvement: float = setting(
        0.01,
        help="Share of the best evaluation loss by which an evaluation has to be lower to count as an improvement for "
        "patience.",
        topic=TOKENS,
        least=0.0,
        most=1.0,
        step=0.001,
        rounded=False,
    )
    noise_pool: int = setting(
        0,
        help="Noises that training draws from; the model's own predictions for them are computed once. 0 fits it to "
        "the run.",
        topic=SCHEDULE,
        least=0,
        most=1_000_000,
        widget_most=100_000,
    )

    def validate(self) -> TrainingSettings:
        """Itself, or a ValueError whose sentence names the input, what came and what was expected."""
        check(self)
        try:
            rates = self.schedule().rates(self.steps)
        except ValueError as error:
            raise ValueError(shortened(str(error))) from None
        if not rates:
            raise ValueError(
                shortened(
                    f"learning_rate is {self.learning_rate!r}, which ends before the first of {self.steps} steps, "
                    "expected one step or more"
                )
            )
        if max(rates) > LARGEST_RATE:
            raise ValueError(shortened(f"learning_rate is {self.learning_rate!r}, expected at most {LARGEST_RATE:g}"))
        return self

    def to_record(self) -> dict[str, Any]:
        """Plain values by public id, as checkpoints hold them; `declared.from_record` reads them."""
        return to_record(self)

    def schedule(self) -> LearningRate:
        """The learning rate as a schedule. Raises ValueError where the text does not say one."""
        return parse_learning_rate(self.learning_rate, self.rate_shape, self.warm_up)

    def level_distribution(self, model_shift: float) -> LevelDistribution:
        """How noise levels are drawn for a model that samples with `model_shift`."""
        return LevelDistribution(self.timestep_sampling, shift=self.timestep_shift or model_shift)
