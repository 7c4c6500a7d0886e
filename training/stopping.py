"""Knows when training is done or has gone wrong: keeps the best state, stops early, notices divergence."""

from __future__ import annotations

from dataclasses import dataclass

from .evaluation import Evaluation
from .trainables.trainable import Kept

# A run has diverged when its evaluation loss inside the mask passes this multiple of the error of the model as it is.
DIVERGED_RATIO = 1.5


def score(evaluation: Evaluation, before: Evaluation) -> float:
    """What the best state has least of: the error inside, and whatever it added to the error outside.

    With unseen views, the mean of the errors on the reference and on them. Held-back views alone would end a LoRA at a
    quarter of its run, before samples show the character: their error turns a little while that of the reference, at
    noises that training never sees, still falls, and what samples show grows with it.
    """
    inside = evaluation.inside if evaluation.unseen is None else (evaluation.inside + evaluation.unseen) / 2
    return inside + max(0.0, evaluation.outside - before.outside)


@dataclass
class BestState:
    """The best evaluation so far, and what was kept then; the untrained state until there is one."""

    before: Evaluation
    kept: Kept
    patience: int
    least_improvement: float
    step: int = 0
    lowest: float = float("inf")
    worse: int = 0  # evaluations since the last improvement that counts

    def offer(self, step: int, evaluation: Evaluation, kept: Kept) -> None:
        """Takes the state if no evaluation was better."""
        now = score(evaluation, self.before)
        self.worse = 0 if now < self.lowest * (1 - self.least_improvement) else self.worse + 1
        if now < self.lowest:
            self.lowest, self.kept, self.step = now, kept, step

    @property
    def exhausted(self) -> bool:
        """True when early stopping is on and too many evaluations brought nothing."""
        return 0 < self.patience <= self.worse

    def diverged(self, evaluation: Evaluation) -> bool:
        """True for a state that is far worse than the model as it is."""
        return not evaluation.inside <= DIVERGED_RATIO * self.before.inside
