"""A run that was cancelled, killed or starved of disk space goes on to the very tokens of the uninterrupted run."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from anima_fast_train.training import (
    EncodedReference,
    ReferenceContext,
    StepReport,
    TrainingDiverged,
    TrainingSettings,
    train_context_tokens,
)
from anima_fast_train.training.files import tensor_file
from anima_fast_train.training.reports.history_file import COLUMNS, history_csv
from anima_fast_train.training.resuming.run_state import CheckpointPlan, TrainingState
from anima_fast_train.training.trainables.context_tokens import ContextTokens
from anima_fast_train.training.trainables.placed_tokens import placed

MakeReference = Callable[..., EncodedReference]
KILLS = 10  # of a small model; judge_kills kills whole commands
SETTINGS = TrainingSettings(
    steps=40,
    num_tokens=3,
    noise_pool=16,
    evaluations=5,
    ema=0.9,
    time_ranges=2,
    negative_tokens=2,
    init_text="ab",
    clip_norm=1.0,
    learning_rate="0.3",  # trial steps would be counted among the forward passes
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def same_context(first: ReferenceContext, second: ReferenceContext) -> bool:
    ours, theirs = first.tensors(), second.tensors()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


class Cancelled(Exception):
    pass


def cancel_at(step: int) -> Callable[[StepReport], None]:
    def on_step(report: StepReport) -> None:
        if report.step == step:
            raise Cancelled

    return on_step


@pytest.mark.parametrize("step", [1, 8, 23, 39])
def test_a_cancelled_run_resumes_to_the_same_tokens(
    tiny: Any, encoded: MakeReference, tmp_path: Path, step: int
) -> None:
    references = [encoded(seed=1), encoded(size=(8, 6), seed=2, weight=2.0)]
    whole = train_context_tokens(tiny, references, SETTINGS)
    plan = CheckpointPlan(tmp_path / "run.safetensors", every=1000)
    with pytest.raises(Cancelled):
        train_context_tokens(tiny, references, SETTINGS, cancel_at(step), plan)
    resumed = train_context_tokens(tiny, references, SETTINGS, resume=TrainingState.load(plan.path))
    assert same_context(whole.trained, resumed.trained)
    assert (whole.history.losses, whole.history.evaluations, whole.kept_step) == (
        resumed.history.losses,
        resumed.history.evaluations,
        resumed.kept_step,
    )


def test_a_caption_of_half_characters_does_not_cost_the_checkpoint(
    tiny: Any, encoded: MakeReference, tmp_path: Path
) -> None:
    references = [replace(encoded(), caption='初音 \ud800 \\ud800 "\\"')]
    plan = CheckpointPlan(tmp_path / "run.safetensors")
    with pytest.raises(Cancelled):
        train_context_tokens(tiny, references, SETTINGS, cancel_at(3), plan)
    resumed = train_context_tokens(tiny, references, SETTINGS, resume=TrainingState.load(plan.path))
    assert same_context(resumed.trained, train_context_tokens(tiny, references, SETTINGS).trained)


def learns(trained: Any) -> bool:
    return any(tokens.requires_grad for tokens, _ in placed(trained).by_attention())


class InterruptedForward:
    """A backbone whose forward pass is interrupted in the middle of a training step, after the step has drawn its
    noise."""

    def __init__(self, backbone: Any, step: int) -> None:
        self._backbone, self._left = backbone, step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backbone, name)

    def predict(self, x_t: Tensor, level: Tensor, conditioning: Any, trained: Any = None) -> Tensor:
        self._left -= learns(trained)
        if self._left == 0:
            raise Cancelled
        return self._backbone.predict(x_t, level, conditioning, trained)


def test_a_run_cancelled_within_a_step_resumes_to_the_same_tokens(
    tiny: Any, encoded: MakeReference, tmp_path: Path
) -> None:
    references, plan = [encoded(seed=1), encoded(size=(8, 6), seed=2)], CheckpointPlan(tmp_path / "run.safetensors")
    whole = train_context_tokens(tiny, references, SETTINGS)
    with pytest.raises(Cancelled):
        train_context_tokens(InterruptedForward(tiny, 15), references, SETTINGS, None, plan)
    resumed = train_context_tokens(tiny, references, SETTINGS, resume=TrainingState.load(plan.path))
    assert same_context(whole.trained, resumed.trained)


def train_until_killed(tiny: Any, references: list[EncodedReference], plan: CheckpointPlan, after: float) -> None:
    """In a child process that the kernel ends after so many seconds, wherever it is then."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, after)
        try:
            resume = TrainingState.load(plan.path) if plan.path.exists() else None
            train_context_tokens(tiny, references, SETTINGS, None, plan, resume)
        finally:
            os._exit(0)
    os.waitpid(child, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork to kill a run in the middle")
@pytest.mark.parametrize("seed", range(KILLS))
def test_a_run_killed_at_random_moments_resumes_to_the_same_tokens(
    tiny: Any, encoded: MakeReference, tmp_path: Path, seed: int
) -> None:
    references = [encoded(seed=1)]
    whole = train_context_tokens(tiny, references, SETTINGS)
    plan, moment = CheckpointPlan(tmp_path / "run.safetensors", every=1), random.Random(seed)
    for _ in range(2):
        train_until_killed(tiny, references, plan, moment.uniform(0.005, 0.15))
    resume = TrainingState.load(plan.path) if plan.path.exists() else None
    resumed = train_context_tokens(tiny, references, SETTINGS, resume=resume)
    assert same_context(whole.trained, resumed.trained)


def test_a_full_disk_costs_the_checkpoint_and_not_the_run(
    tiny: Any, encoded: MakeReference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = CheckpointPlan(tmp_path / "run.safetensors", every=10)
    with pytest.raises(Cancelled):
        train_context_tokens(tiny, [encoded()], SETTINGS, cancel_at(10), plan)
    before = plan.path.read_bytes()

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tensor_file, "write_atomically", full)
    result = train_context_tokens(tiny, [encoded()], SETTINGS, None, plan, TrainingState.load(plan.path))
    assert plan.path.read_bytes() == before
    assert sum("no checkpoint was written" in warning for warning in result.warnings) == 1
    assert same_context(result.trained, train_context_tokens(tiny, [encoded()], SETTINGS).trained)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"steps": 41}, "steps is 41 here and 40"),
        ({"seed": 5}, "seed"),
        ({"learning_rate": "0.2"}, "learning_rate"),
        ({"ema": 0.0}, "ema"),
    ],
)
def test_other_settings_are_refused_by_name(
    tiny: Any, encoded: MakeReference, tmp_path: Path, changed: dict[str, Any], named: str
) -> None:
    plan = CheckpointPlan(tmp_path / "run.safetensors")
    with pytest.raises(Cancelled):
        train_context_tokens(tiny, [encoded()], SETTINGS, cancel_at(3), plan)
    with pytest.raises(ValueError, match=f"cannot resume: {named}"):
        train_context_tokens(tiny, [encoded()], replace(SETTINGS, **changed), resume=TrainingState.load(plan.path))


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"size": (8, 8)}, "latent size of reference 1"),
        ({"weight": 2.0}, "weight of reference 1"),
        ({"seed": 1}, "mean of all latents of reference 1"),
        ({"mask": torch.ones(1, 1, 6, 8)}, "coverage of reference 1 is 1.0 here and 0.1875 in the checkpoint"),
    ],
)
def test_other_references_are_refused_by_name(
    tiny: Any, encoded: MakeReference, tmp_path: Path, changed: dict[str, Any], named: str
) -> None:
    state = cancelled_state(tiny, encoded, tmp_path)
    with pytest.raises(ValueError, match=f"cannot resume: {named}"):
        train_context_tokens(tiny, [encoded(**changed)], SETTINGS, resume=state)


def test_more_references_another_map_and_more_pictures_are_refused(
    tiny: Any, encoded: MakeReference, tmp_path: Path
) -> None:
    state, reference = cancelled_state(tiny, encoded, tmp_path), encoded()
    others = {
        "number of references is 2 here and 1": [reference, reference],
        "mean of the attention map of reference 1 is 1.0 here and None": [
            replace(reference, emphasis=torch.ones(1, 1, 6, 8))
        ],
        "number of pictures times prompts of reference 1 is 2 here and 1": [
            replace(reference, augmented=reference.shown_as * 2)
        ],
    }
    for sentence, references in others.items():
        with pytest.raises(ValueError, match=f"cannot resume: {sentence}"):
            train_context_tokens(tiny, references, SETTINGS, resume=state)


def test_the_last_digits_of_an_encoder_do_not_keep_a_run_from_going_on(
    tiny: Any, encoded: MakeReference, tmp_path: Path
) -> None:
    state, reference = cancelled_state(tiny, encoded, tmp_path), encoded()
    nearly = replace(reference, latent=reference.latent + 1e-5)
    assert train_context_tokens(tiny, [nearly], SETTINGS, resume=state).trained.info.steps == SETTINGS.steps


def cancelled_state(tiny: Any, encoded: MakeReference, folder: Path) -> TrainingState:
    plan = CheckpointPlan(folder / "run.safetensors")
    with pytest.raises(Cancelled):
        train_context_tokens(tiny, [encoded()], SETTINGS, cancel_at(3), plan)
    return TrainingState.load(plan.path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "is cut short"), (b"no checkpoint", "is not a safetensors file"), (bytes(200), "is not a safetensors file")],
)
def test_what_is_no_checkpoint_is_refused_in_one_sentence(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "run.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"checkpoint .*run\.safetensors {reason}"):
        TrainingState.load(path)


def test_a_context_is_not_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "context.safetensors"
    ReferenceContext(ContextTokens(torch.ones(2, 1, 4))).save(path)
    with pytest.raises(ValueError, match="is not a checkpoint of AnimaFastTrain"):
        TrainingState.load(path)


def test_early_stop_keeps_tokens_no_worse_than_the_best_evaluation(tiny: Any, encoded: MakeReference) -> None:
    settings = replace(
        SETTINGS, steps=400, evaluations=100, patience=3, learning_rate="0.5", rate_shape="constant", prior_weight=0.0
    )
    result = train_context_tokens(tiny, [encoded()], settings)
    assert len(result.history.losses) < 400
    assert any("stopped early" in warning for warning in result.warnings)
    outside = result.before.outside
    scores = [e.inside + max(0.0, e.outside - outside) for step, e in result.history.evaluations.items() if step > 0]
    assert result.after.inside + max(0.0, result.after.outside - outside) == min(scores)


def test_the_csv_has_a_row_for_each_step(tiny: Any, encoded: MakeReference) -> None:
    result = train_context_tokens(tiny, [encoded()], SETTINGS)
    header, *rows = history_csv(result.history).decode().splitlines()
    assert header == ",".join(COLUMNS)
    assert [int(row.split(",")[0]) for row in rows] == list(range(1, 41))
    assert sum(not row.endswith(",,") for row in rows) == SETTINGS.evaluations


def test_a_run_that_diverges_leaves_the_checkpoint_before_it(tiny: Any, encoded: MakeReference, tmp_path: Path) -> None:
    class BrokenFromTen(InterruptedForward):
        def predict(self, x_t: Tensor, level: Tensor, conditioning: Any, trained: Any = None) -> Tensor:
            prediction = self._backbone.predict(x_t, level, conditioning, trained)
            self._left -= learns(trained)
            return prediction * float("nan") if self._left < 0 else prediction

    plan, forwards_of_a_step = CheckpointPlan(tmp_path / "run.safetensors", every=5), 2 * SETTINGS.gradient_accumulation
    with pytest.raises(TrainingDiverged):
        train_context_tokens(BrokenFromTen(tiny, 10 * forwards_of_a_step), [encoded()], SETTINGS, None, plan)
    state = TrainingState.load(plan.path)
    assert state.record["position"]["done"] == 10
    whole, resumed = (train_context_tokens(tiny, [encoded()], SETTINGS, resume=resume) for resume in (None, state))
    assert same_context(whole.trained, resumed.trained)
