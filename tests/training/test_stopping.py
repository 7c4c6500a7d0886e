"""Which state of a run is the best one."""

from __future__ import annotations

from anima_fast_train.training.evaluation import Evaluation
from anima_fast_train.training.stopping import BestState

BEFORE = Evaluation(inside=1.0, outside=0.2, unseen=1.0)
# By step, as of a LoRA: elsewhere the error turns early, on the reference it falls to the end.
MEASURED = {75: (0.56, 0.86), 150: (0.48, 0.89), 225: (0.45, 0.90), 300: (0.44, 0.95)}


def best_of(measured: dict[int, Evaluation]) -> int:
    best = BestState(BEFORE, {}, patience=0, least_improvement=0.0)
    for step, evaluation in measured.items():
        best.offer(step, evaluation, {})
    return best.step


def test_the_reference_and_views_that_training_never_sees_count_alike() -> None:
    assert best_of({step: Evaluation(inside, 0.2, unseen=unseen) for step, (inside, unseen) in MEASURED.items()}) == 225


def test_without_such_views_the_reference_counts_alone() -> None:
    assert best_of({step: Evaluation(inside, 0.2) for step, (inside, _) in MEASURED.items()}) == 300


def test_what_a_state_adds_to_the_error_outside_counts_against_it() -> None:
    assert best_of({1: Evaluation(0.5, 0.2), 2: Evaluation(0.4, 0.4), 3: Evaluation(0.45, 0.1)}) == 3
