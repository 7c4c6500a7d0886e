"""Knows when training is done or has gone wrong: keeps the best tokens, stops early, notices divergence."""

from __future__ import annotations

from dataclasses import dataclass

from .evaluation import Evaluation
from .trainables.context_tokens import TrainedTokens

# A run has diverged when its error inside the mask passes this multiple of the error without any tokens.
DIVERGED_RATIO = 1.5


def score(evaluation: Evaluation, before: Evaluation) -> float:
    """What the best tokens have least of: the error inside, and whatever they added to the error outside."""
    return evaluation.inside + max(0.0, evaluation.outside - before.outside)


@dataclass
class BestTokens:
    """The best evaluation so far, and its tokens; the untrained ones until there is one."""

    before: Evaluation
    tokens: TrainedTokens
    patience: int
    least_improvement: float
    step: int = 0
    lowest: float = float("inf")
    worse: int = 0  # evaluations since the last improvement that counts

    def offer(self, step: int, evaluation: Evaluation, tokens: TrainedTokens) -> None:
        """Takes the tokens if no evaluation was better."""
        now = score(evaluation, self.before)
        self.worse = 0 if now < self.lowest * (1 - self.least_improvement) else self.worse + 1
        if now < self.lowest:
            self.lowest, self.tokens, self.step = now, tokens, step

    @property
    def exhausted(self) -> bool:
        """True when early stopping is on and too many evaluations brought nothing."""
        return 0 < self.patience <= self.worse

    def diverged(self, evaluation: Evaluation) -> bool:
        """True for tokens that are far worse than none."""
        return not evaluation.inside <= DIVERGED_RATIO * self.before.inside
