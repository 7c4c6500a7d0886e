"""What a training run tells while it runs and when it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from .evaluation import Evaluation
from .settings import TrainingSettings
from .trainables.context_file import ReferenceContext

# The final loss is a mean over this many steps, because that of one step depends on its noise.
FINAL_LOSS_STEPS = 20


@dataclass(frozen=True)
class StepReport:
    """What a callback learns after each step. `loss` is the masked loss, `prior` the unweighted prior preservation
    loss.

    Cancelling is raising: the exception leaves `train_context_tokens` after this step. The two functions cost nothing
    until they are called.
    """

    step: int  # 1 after the first step
    steps: int
    loss: float
    prior: float
    learning_rate: float
    x0_estimate: Callable[[], Tensor]  # the model's current guess at the first row's picture [1,C,...]
    context: Callable[[], ReferenceContext]  # what a run that ended here would keep
    evaluation: Evaluation | None = None  # where this step was measured
    before: Evaluation | None = None  # of the model without tokens


@dataclass
class History:
    """One number for each step, and the evaluations by steps done; 0 is the model without tokens."""

    losses: list[float] = field(default_factory=list)
    prior_losses: list[float] = field(default_factory=list)
    learning_rates: list[float] = field(default_factory=list)
    evaluations: dict[int, Evaluation] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingResult:
    """The context, and how training went."""

    context: ReferenceContext
    settings: TrainingSettings
    losses: list[float]
    prior_losses: list[float]
    learning_rates: list[float]
    evaluations: dict[int, Evaluation]
    kept_step: int  # the step whose tokens the context holds
    coverage: list[float]
    seconds: float
    warnings: list[str] = field(default_factory=list)

    @property
    def before(self) -> Evaluation:
        return self.evaluations[0]

    @property
    def after(self) -> Evaluation:
        """Of the tokens that the context holds."""
        return self.evaluations[self.kept_step]


class TrainingDiverged(ValueError):
    """The loss left all bounds and halving the rate did not help; `context` holds the best tokens before that."""

    def __init__(self, message: str, context: ReferenceContext) -> None:
        super().__init__(message)
        self.context = context
