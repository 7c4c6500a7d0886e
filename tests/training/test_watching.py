"""A run from the command line can be watched, stopped with Ctrl-C and gone on with, and it steers as its options
say."""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
import torch
from PIL import Image

from anima_fast_train.training import ReferenceContext, TrainingSettings
from anima_fast_train.training.batches.batch import Batch
from anima_fast_train.training.command_line import before_after, main, watching
from anima_fast_train.training.forward import Forward, ForwardPass
from anima_fast_train.training.miniature.backbone import sample
from anima_fast_train.training.miniature.scene import draw_reference
from anima_fast_train.training.result import StepReport
from anima_fast_train.training.resuming.run_state import TrainingState
from anima_fast_train.training.stopping import BestState
from anima_fast_train.training.trainer import Trainer

QUICK = ("--size", "32", "--tokens", "2", "--batch-size", "1", "--seed", "3", "--prior-weight", "0")

Command = Callable[..., tuple[int, str]]
pytestmark = pytest.mark.usefixtures("heeded")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """`anima-fast-train train` on a small reference, its samples drawn in fewer steps; the exit code and all that was
    printed."""
    monkeypatch.setattr(before_after, "sample", functools.partial(sample, steps=1))
    drawn = draw_reference(7)
    drawn.picture.resize((32, 32)).save(tmp_path / "picture.png")
    drawn.mask.resize((32, 32)).save(tmp_path / "mask.png")

    def run(*arguments: object) -> tuple[int, str]:
        reference = ("--image", tmp_path / "picture.png", "--mask", tmp_path / "mask.png")
        monkeypatch.setattr(sys, "argv", ["anima-fast-train", "train", *map(str, (*reference, *QUICK, *arguments))])
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        return int(stopped.value.code or 0), captured.out + captured.err

    return run


@contextmanager
def interrupted_in_step(monkeypatch: pytest.MonkeyPatch, number: int) -> Iterator[None]:
    """Ctrl-C arrives in the middle of a step, after its noise was drawn."""
    step, forward, now = Trainer.step, ForwardPass.__call__, []

    def noticed(trainer: Trainer, rate: float) -> StepReport:
        now[:] = [trainer.position.done + 1]
        return step(trainer, rate)

    def press(forward_pass: ForwardPass, batch: Batch) -> Forward:
        if now == [number]:
            os.kill(os.getpid(), signal.SIGINT)
        return forward(forward_pass, batch)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "step", noticed)
        patched.setattr(ForwardPass, "__call__", press)
        yield


def tokens_in(folder: Path) -> torch.Tensor:
    return ReferenceContext.load(folder / "context.safetensors").positive.tokens


def test_ctrl_c_and_resume_end_in_the_tokens_of_the_whole_run(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = ("--steps", 6, "--evaluations", 2, "--ema", 0.9)
    assert command(*steps, "--output", tmp_path / "whole")[0] == 0
    before = signal.getsignal(signal.SIGINT)
    with interrupted_in_step(monkeypatch, 3):
        code, said = command(*steps, "--output", tmp_path / "stopped")
    checkpoint = tmp_path / "stopped" / "checkpoint.safetensors"
    assert (code, [path.name for path in (tmp_path / "stopped").iterdir() if path.is_file()]) == (
        130,
        [checkpoint.name],
    )
    assert f"--resume {checkpoint}" in said
    assert TrainingState.load(checkpoint).record["position"]["done"] == 3
    assert signal.getsignal(signal.SIGINT) is before

    assert command(*steps, "--output", tmp_path / "stopped", "--resume", checkpoint)[0] == 0
    assert torch.equal(tokens_in(tmp_path / "stopped"), tokens_in(tmp_path / "whole"))
    tables = [(tmp_path / name / "history.csv").read_text() for name in ("whole", "stopped")]
    assert tables[0] == tables[1]
    assert len(tables[0].splitlines()) == 1 + 6


def test_checkpoints_come_as_often_as_asked_and_refuse_other_settings(command: Command, tmp_path: Path) -> None:
    output = ("--output", tmp_path / "run")
    assert command("--steps", 3, "--checkpoint-every", 2, *output)[0] == 0
    checkpoint = tmp_path / "run" / "checkpoint.safetensors"
    assert TrainingState.load(checkpoint).record["position"]["done"] == 2
    code, said = command("--steps", 6, "--resume", checkpoint, *output)
    assert (code, "cannot resume: steps is 6 here and 3" in said) == (2, True)
    code, said = command("--steps", 3, "--resume", tmp_path / "picture.png", *output)
    assert (code, "picture.png is not a safetensors file" in said) == (2, True)


@pytest.mark.parametrize("option", ["--checkpoint-every", "--preview-every"])
def test_negative_intervals_are_refused(command: Command, tmp_path: Path, option: str) -> None:
    code, said = command(option, -1, "--output", tmp_path / "run")
    assert (code, f"{option[2:]} is -1, expected 0 or more" in said) == (2, True)
    assert not (tmp_path / "run").exists()


def test_previews_show_the_tokens_of_their_step(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert (
        command("--steps", 4, "--preview-every", 2, "--time-ranges", 2, "--negative-tokens", 1, "--output", folder)[0]
        == 0
    )
    names = [
        f"{kind}_{step:06}.{ending}"
        for kind, ending in (("preview", "png"), ("context", "safetensors"))
        for step in (2, 4)
    ]
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(("preview_", "context_"))) == sorted(
        names
    )
    with Image.open(folder / names[0]) as early, Image.open(folder / names[1]) as late:
        assert early.size == late.size == (64, 32)
        assert early.tobytes() != late.tobytes()
    assert (
        ReferenceContext.load(folder / names[2]).tensors().keys()
        == ReferenceContext.load(folder / "context.safetensors").tensors().keys()
    )
    assert not torch.equal(
        ReferenceContext.load(folder / names[2]).positive.tokens,
        ReferenceContext.load(folder / names[3]).positive.tokens,
    )


def test_options_reach_the_training(command: Command, tmp_path: Path) -> None:
    chosen = {
        "init_text": "1girl, smile", "negative_tokens": 2, "cfg": 2.0, "time_ranges": 3, "rate_shape": "linear",
        "warm_up": 0.5,
        "weight_decay": 0.01, "clip_norm": 1.0, "clip_value": 0.5, "ema": 0.5, "evaluations": 3, "patience": 2,
        "gradient_accumulation": 2,
        "timestep_sampling": "uniform", "timestep_shift": 2.0, "noise_pool": 6, "least_improvement": 0.05,
    }  # fmt: skip
    arguments = [part for name, value in chosen.items() for part in (f"--{name.replace('_', '-')}", value)]
    assert all(value != TrainingSettings().to_record()[name] for name, value in chosen.items())
    flags = ("--shared", "--no-stratified", "--no-balance-prior", "--no-normalize-area")
    assert command("--steps", 4, "--checkpoint-every", 1, *flags, *arguments, "--output", tmp_path / "run")[0] == 0
    used = TrainingState.load(tmp_path / "run" / "checkpoint.safetensors").record["settings"]
    assert {name: used[name] for name in chosen} == chosen
    assert not any(used[name] for name in ("per_block", "stratified", "balance_prior", "normalize_area"))
    tensors = ReferenceContext.load(tmp_path / "run" / "context.safetensors").tensors()
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == {
        "tokens": (6, 2, 192),
        "negative_tokens": (6, 2, 192),
        "time_offsets": (6, 3, 2, 192),
        "negative_time_offsets": (6, 3, 2, 192),
    }


def test_a_run_that_diverges_keeps_its_best_tokens_and_says_where(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BestState, "diverged", lambda *_: True)  # the miniature bears any rate
    code, said = command("--steps", 4, "--evaluations", 4, "--output", tmp_path / "run")
    best = tmp_path / "run" / "best_context.safetensors"
    assert (code, "training diverged" in said, f"the best context before that is in {best}" in said) == (2, True, True)
    assert ReferenceContext.load(best).positive.tokens.isfinite().all()


def test_tensorboard_gets_every_step_where_it_is_installed(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[str, float, int]] = []

    class SummaryWriter:
        def __init__(self, folder: str) -> None:
            assert folder == str(tmp_path / "run" / watching.EVENTS)

        def __enter__(self) -> SummaryWriter:
            return self

        def __exit__(self, *_: object) -> None:
            written.append(("closed", 0.0, 0))

        def add_scalar(self, name: str, value: float, step: int) -> None:
            written.append((name, value, step))

    stand_in = ModuleType("torch.utils.tensorboard")
    stand_in.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", stand_in)
    assert command("--steps", 3, "--evaluations", 1, "--output", tmp_path / "run")[0] == 0
    assert [step for name, _, step in written if name == "loss/masked"] == [1, 2, 3]
    assert [step for name, _, step in written if name == "evaluation/inside"] == [3]
    assert written[-1][0] == "closed"
