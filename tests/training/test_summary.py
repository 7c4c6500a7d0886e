"""The summary tells an artist in plain words what happened, and what to try when it went wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from anima_fast_train.training import (
    Evaluation,
    ReferenceContext,
    TrainingInfo,
    TrainingResult,
    TrainingSettings,
    describe,
)
from anima_fast_train.training.reports.summary import hints, verdict
from anima_fast_train.training.result import History
from anima_fast_train.training.trainables.context_tokens import ContextTokens


def with_losses(run: TrainingResult, losses: list[float]) -> TrainingResult:
    return replace(run, history=replace(run.history, losses=losses))


def result(inside: list[float], outside: float = 0.3, leak: float = 0.05, coverage: float = 0.3) -> TrainingResult:
    """A run of 100 steps whose evaluations inside the mask were these, the first one before training."""
    measured = {number * 10: Evaluation(value, outside, leak if number else 0.0) for number, value in enumerate(inside)}
    info = TrainingInfo(steps=100, learning_rate="0.1:50, 0.01", reference_count=1, final_loss=1.25, seed=7)
    return TrainingResult(
        trained=ReferenceContext(ContextTokens(torch.ones(6, 8, 192)), info=info),
        settings=TrainingSettings(steps=100, gradient_accumulation=2),
        history=History([2 - step / 100 for step in range(100)], [0.1] * 100, [0.1] * 100, measured),
        kept_step=max(measured),
        coverage=[coverage],
        seconds=20.0,
    )


def test_the_figures_are_all_there() -> None:
    text = describe(result([2.0, 1.0, 0.8]), peak_memory_mib=512.4, notes=("a note",))
    for line in (
        "steps: 100 of batch 4 x 2",
        "learning rate: 0.1:50, 0.01 (cosine)",
        "context tokens: 8 in each of 6 blocks, 192 wide",
        "coverage of reference 1: 30.0%",
        "evaluation loss inside the mask: 2.0000 before, 0.8000 after (-60%)",
        "evaluation loss outside the mask: 0.3000 before, 0.3000 after (+0%)",
        "final loss: 1.2500 (mean of the last 20 steps)",
        "seed: 7",
        "time: 20.0 s, 5.00 steps a second, evaluations included",
        "peak memory: 512 MiB",
        "note: a note",
    ):
        assert line in text.splitlines()
    assert "leak: 0.050" in text
    assert text.startswith("verdict: ")  # what a small text box on a node shows
    assert "hint" not in text


def test_an_outside_that_does_not_exist_is_not_measured() -> None:
    assert "outside the mask: 0.0000 before, 0.0000 after (not measured)" in describe(
        result([2.0, 1.0], outside=0.0, leak=0.0)
    )
    assert "peak memory" not in describe(result([2.0, 1.0]))


@pytest.mark.parametrize(
    ("inside", "begins"),
    [
        ([2.0, 1.0, 0.9, 0.85], "learned well: the evaluation loss inside the mask fell by 57%"),
        ([2.0, 1.95, 1.9, 1.85], "learned little"),
        (
            [2.0, 1.6, 1.55, 1.5],
            "learned in part: the evaluation loss inside the mask fell by 25%; more steps would bring more",
        ),
        ([2.0, 1.8, 1.5, 1.2], "still improving when it ended"),
        ([2.0, 1.0, 0.7, 0.9], "overfitting: the evaluation loss rose again from 0.700 to 0.900"),
        ([2.0, 2.5], "diverged: the evaluation loss inside the mask ended at 2.500, above the 2.000 it began with"),
        ([2.0, 0.9], "learned well"),
    ],
)
def test_the_verdict_names_what_happened(inside: list[float], begins: str) -> None:
    assert verdict(result(inside)).startswith(begins)


def test_noise_that_was_learned_by_heart_is_called_overfitting() -> None:
    run = with_losses(result([2.0, 1.0, 0.9, 0.9]), [0.2] * 100)
    assert verdict(run).startswith(
        "overfitting: the loss of the steps fell to 0.200, on noise that training never sees it is 0.900"
    )
    above = with_losses(result([2.0, 2.5]), [0.2] * 100)
    assert verdict(above).startswith("overfitting: the loss of the steps fell to 0.200"), "it learned, too well"
    assert verdict(with_losses(result([2.0, 50.0]), [10.0] * 100)).startswith("diverged"), "it learned nothing"
    assert verdict(with_losses(run, [float("nan")] * 90 + [0.5] * 10)).startswith("learned well")


@pytest.mark.parametrize("changes", [{"normalize_area": False}, {"unmasked_weight": 0.5}])
def test_a_loss_that_is_small_for_other_reasons_is_not_called_overfitting(changes: dict) -> None:
    run = result([2.0, 1.0, 0.9, 0.9])
    run = replace(with_losses(run, [0.2] * 100), settings=replace(run.settings, **changes))
    assert verdict(run).startswith("learned well")


def test_a_loss_that_rose_with_its_steps_is_not_called_overfitting() -> None:
    run = with_losses(result([2.0, 1.0, 0.7, 0.9]), [1 + step / 100 for step in range(100)])
    assert (
        verdict(run)
        == "unsteady: the evaluation loss rose again from 0.700 to 0.900, and so did the loss of the steps; "
        "try a lower learning rate"
    )


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (result([2.0, 1.0], coverage=0.004), "selects only 0.40% of the picture"),
        (result([2.0, 1.0], coverage=0.96), "selects 96% of the picture; is it inverted?"),
        (result([2.0, 1.99]), "the loss did not fall; try a higher learning rate or more steps"),
        (
            with_losses(result([2.0, 1.0]), [1.0] * 90 + [3.0] * 10),
            "the loss rose at the end; try a lower learning rate",
        ),
        (result([2.0, 1.0], leak=0.6), "changes what the mask leaves out (leak 0.60); try a higher prior weight"),
    ],
)
def test_what_looks_wrong_gets_one_hint(run: TrainingResult, words: str) -> None:
    (hint,) = hints(run)
    assert words in hint
    assert f"hint: {hint}" in describe(run)


def test_a_run_of_one_step_is_described() -> None:
    short = with_losses(result([2.0, 1.5]), [1.9])
    assert "mean of the last 1 steps" in describe(short)


def judged(supplied: float, unseen_supplied: float, unseen_leak: float = 0.05) -> TrainingResult:
    """A run with views that were held back, and how much of what the model lacked it supplies."""
    plain = result([2.0, 1.6])
    last = max(plain.history.evaluations)
    evaluations = {
        step: replace(evaluation, unseen=2.0, unseen_leak=0.0)
        if step < last
        else replace(
            evaluation, unseen=1.7, unseen_leak=unseen_leak, supplied=supplied, unseen_supplied=unseen_supplied
        )
        for step, evaluation in plain.history.evaluations.items()
    }
    return replace(plain, history=replace(plain.history, evaluations=evaluations))


@pytest.mark.parametrize(
    ("run", "begins"),
    [
        (
            judged(0.21, 0.12),
            "carries the character; backgrounds follow the prompt: of what the model lacks, the context supplies 21% "
            "on the reference and 12% where training never showed it, leak 0.05",
        ),
        (judged(0.21, 0.12, 0.4), "carries the character, but changes what is around it: of what the model lacks"),
        (judged(0.3, 0.05), "knows one picture by heart: of what the model lacks"),
        (judged(0.3, -0.05), "knows one picture by heart: of what the model lacks"),
        (judged(0.06, 0.05), "carries little: of what the model lacks"),
        (judged(0.14, 0.11), "carries the character in part: of what the model lacks"),
        (judged(0.14, 0.11, 0.4), "carries the character in part, but changes what is around it"),
        (judged(0.14, 0.13), "carries the character; backgrounds follow the prompt"),
    ],
)
def test_a_run_with_views_that_were_held_back_is_judged_by_them(run: TrainingResult, begins: str) -> None:
    assert verdict(run).startswith(begins)
    assert "at places that training never showed: 2.0000 before" in describe(run)


def test_a_run_resumed_from_before_it_was_measured_is_judged_by_its_error() -> None:
    run = judged(0.21, 0.12)
    evaluations = {
        step: replace(each, supplied=None, unseen_supplied=None) for step, each in run.history.evaluations.items()
    }
    assert verdict(replace(run, history=replace(run.history, evaluations=evaluations))).startswith("learned in part")


def test_a_prompt_that_names_the_identity_is_hinted_at() -> None:
    plain = result([2.0, 1.0, 0.8])
    info = replace(plain.trained.info, prompt="1girl, Red_Hair, smile, blue eyes, white dress, garden, hat\nforest")
    told = [hint for hint in hints(replace(plain, trained=replace(plain.trained, info=info))) if "names" in hint]
    assert told == [
        "the training prompt names 'red hair'; 'blue eyes'; 'white dress'; and 1 more: what it names the context need "
        "not carry, so leave out the words for hair, eyes and clothes"
    ]
    assert not any("names" in hint for hint in hints(plain))
