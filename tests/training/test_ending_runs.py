"""However a run on the command line ends, what it learned is kept and the shell is told why."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from anima_fast_train.training import ReferenceContext
from anima_fast_train.training.command_line import outputs, watching
from anima_fast_train.training.command_line.errors import sentence_of
from anima_fast_train.training.command_line.output_folder import LOCK, held_alone, reserved, save_somewhere
from anima_fast_train.training.command_line.stopping_signals import ENDING, Stopped, stopped_by_signals
from anima_fast_train.training.evaluation import Evaluation
from anima_fast_train.training.files.atomic_file import remove_abandoned
from anima_fast_train.training.trainables.context_tokens import ContextTokens

CONTEXT = ReferenceContext(ContextTokens(torch.ones(6, 4, 192)))


@pytest.mark.parametrize("number", ENDING)
@pytest.mark.usefixtures("heeded")
def test_every_ending_signal_waits_for_the_step_and_tells_the_shell(number: int) -> None:
    before = [signal.getsignal(one) for one in ENDING]
    with stopped_by_signals() as stopping:
        stopping.hold_back()
        os.kill(os.getpid(), number)
        with pytest.raises(Stopped) as stopped:
            stopping.check()
    assert stopped.value.exit_code == 128 + number
    assert [signal.getsignal(one) for one in ENDING] == before


@pytest.mark.usefixtures("heeded")
def test_before_the_first_step_a_signal_does_not_wait() -> None:
    with stopped_by_signals(), pytest.raises(Stopped):
        os.kill(os.getpid(), signal.SIGTERM)


def test_what_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopped_by_signals():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_folder_belongs_to_one_process_and_to_the_next_after_it_was_killed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from anima_fast_train.training.command_line.output_folder import held_alone\n"
        f"with held_alone(Path({str(tmp_path)!r})): print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout is not None and other.stdout.readline() == b"held\n"
    with pytest.raises(ValueError, match="is used by another training"), held_alone(tmp_path):
        pass
    half = tmp_path / f".anima-{other.pid}-00000000.tmp"
    half.write_bytes(b"half")
    other.kill()
    other.wait()
    assert (tmp_path / LOCK).exists()
    with held_alone(tmp_path):
        assert not half.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_does_not_lose_the_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    (tmp_path / "full").write_bytes(b"")  # a file where the folder should be
    saved = save_somewhere(CONTEXT, tmp_path / "full" / "context.safetensors")
    assert saved.parent == home
    assert torch.equal(ReferenceContext.load(saved).positive.tokens, CONTEXT.positive.tokens)


def test_room_for_results_is_taken_until_they_are_written(tmp_path: Path) -> None:
    with reserved(tmp_path, 10_000) as release:
        (taken,) = tmp_path.iterdir()
        assert taken.stat().st_size == 10_000 and taken.stat().st_blocks * 512 >= 10_000
        remove_abandoned(tmp_path, at_once=True)  # as another run does that finds it
        assert taken.exists()
        release()
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyError), reserved(tmp_path, 10):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder of Linux that takes no file")
def test_a_folder_without_room_is_named_before_the_training() -> None:
    said = r"^output folder '/proc' cannot be written: .*, expected room for 2.1 MB of results$"
    with pytest.raises(ValueError, match=said), reserved(Path("/proc"), 2**21):
        pass


def test_what_only_shows_a_run_does_not_end_it(capsys: pytest.CaptureFixture[str]) -> None:
    calls = []

    def write(report: object) -> None:
        calls.append(report)
        raise OSError(errno.ENOSPC, "No space left on device")

    class Report:
        step = 3

    guarded = watching.until_it_fails("previews", write)
    guarded(Report())  # type: ignore[arg-type]
    guarded(Report())  # type: ignore[arg-type]
    assert len(calls) == 1
    assert "no more previews from step 3 on: [Errno 28] No space left on device" in capsys.readouterr().err


def test_full_memory_is_one_sentence_and_mistakes_of_ours_are_none() -> None:
    for error in (
        MemoryError(),
        torch.cuda.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("not enough memory: x"),
    ):
        said = sentence_of(error)
        assert said is not None and said.startswith("there is not enough memory") and len(said) <= 300
    assert sentence_of(RuntimeError("shapes differ")) is None
    assert sentence_of(KeyError("x")) is None


def test_a_report_of_no_time_at_all_is_written() -> None:
    from types import SimpleNamespace

    measured = Evaluation(inside=1.0, outside=1.0)
    result = SimpleNamespace(
        before=measured, after=measured, history=SimpleNamespace(losses=[1.0]), seconds=0.0,
        settings=SimpleNamespace(seed=1), coverage=[0.5], trained=CONTEXT,
    )  # fmt: skip
    assert outputs.report(result, torch.device("cpu"), 1.0)["steps_per_second"] is None  # type: ignore[arg-type]
