"""What a training run tells while it runs and when it ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from .conditioning import Conditioning
from .evaluation import Evaluation
from .forward_passes import ForwardPasses
from .rate_search import FoundRate
from .settings import TrainingSettings

# The final loss is a mean over this many steps, because that of one step depends on its noise.
FINAL_LOSS_STEPS = 20


@dataclass(frozen=True)
class StepReport:
    """What a callback learns after each step. `loss` is the masked loss, `prior` the unweighted prior preservation
    loss.

    Cancelling is raising: the exception leaves the training after this step. The two functions cost nothing until they
    are called.
    """

    step: int  # 1 after the first step
    steps: int
    loss: float
    prior: float
    learning_rate: float
    x0_estimate: Callable[[], Tensor]  # the model's current guess at the first row's image [1,C,...]
    trained: Callable[[], Any]  # what a run that ended here would export
    prompt: Conditioning  # of the first reference, as it is trained under
    evaluation: Evaluation | None = None  # where this step was measured
    before: Evaluation | None = None  # of the model without what is trained


@dataclass
class History:
    """One number for each step, and the evaluations by steps done; 0 is the model without what is trained."""

    losses: list[float] = field(default_factory=list)
    prior_losses: list[float] = field(default_factory=list)
    learning_rates: list[float] = field(default_factory=list)
    evaluations: dict[int, Evaluation] = field(default_factory=dict)

    def final_loss(self) -> float | None:
        """Mean of the last steps; steps that were skipped have no loss."""
        last = [loss for loss in self.losses[-FINAL_LOSS_STEPS:] if math.isfinite(loss)]
        return sum(last) / len(last) if last else None


@dataclass(frozen=True)
class TrainingResult:
    """What was trained, as its trainable exports it (a ReferenceContext for context tokens), and how training went."""

    trained: Any
    settings: TrainingSettings
    history: History
    kept_step: int  # the step whose state was exported
    coverage: list[float]
    seconds: float
    found_rate: FoundRate = FoundRate(1.0, 0)  # with no trial steps where the settings said the rate
    passes: ForwardPasses | None = None  # of this run, without what came before a resume; None where nobody counted
    drawing_passes: int = 0  # that drew backgrounds before it
    warnings: list[str] = field(default_factory=list)

    @property
    def before(self) -> Evaluation:
        return self.history.evaluations[0]

    @property
    def after(self) -> Evaluation:
        """Of what was exported."""
        return self.history.evaluations[self.kept_step]


class TrainingDiverged(ValueError):
    """The loss left all bounds and halving the rate did not help; `trained` is the best state before that, exported."""

    def __init__(self, message: str, trained: Any) -> None:
        super().__init__(message)
        self.trained = trained
