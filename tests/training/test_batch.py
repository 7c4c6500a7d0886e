"""A batch gives each row the context that it would get alone, trains nothing twice whatever ends it, and says of each
row what became of it."""

from __future__ import annotations

import csv
import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from anima_fast_train.training.command_line import main
from anima_fast_train.training.command_line.batch_table import BatchTable
from anima_fast_train.training.manifests import open_pool
from anima_fast_train.training.manifests.backbones import miniature, miniature_worker
from anima_fast_train.training.manifests.miniature_worker import MiniatureModel
from anima_fast_train.training.manifests.report import RowReport
from anima_fast_train.training.manifests.run import BatchFolders, BatchRun
from anima_fast_train.training.manifests.store import Store
from anima_fast_train.training.manifests.train_row import Asked, train_row
from anima_fast_train.training.manifests.worker import InputEnded, Requests
from anima_fast_train.training.manifests.worker_process import WorkerCommand, WorkerDied, WorkerProcess
from anima_fast_train.training.measurements.equal_time import one_thread
from anima_fast_train.training.result import StepReport
from anima_fast_train.training.trainables.context_file import ReferenceContext

sys.path.insert(0, str(Path(__file__).parent))
from small_batch import STEPS, contexts, records, require_trained_once, start, write_manifest


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `anima-fast-train` with these arguments in this process, its workers in others."""

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["anima-fast-train", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        return Outcome(int(stopped.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What three rows give that nobody disturbs."""
    folder = tmp_path_factory.mktemp("whole")
    finished = start(write_manifest(folder, 3), folder)
    out, _ = finished.communicate()
    assert finished.returncode == 0, out
    require_trained_once(folder / "contexts", 3)
    return contexts(folder / "contexts")


class Silent:
    """A watcher that tells nobody."""

    def looked_at(self) -> None: ...

    def ended(self, row: RowReport, trace: str) -> None: ...


def asked_of(manifest: Path, store: Path) -> list[Asked]:
    kept = Store(store)
    run = BatchRun(miniature().rows(manifest), BatchFolders(manifest.parent, kept, kept.prepare()), Silent())
    return run.plan(miniature(), checkpoint_every=4)


def report(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / "report.csv").read_text("utf-8-sig"), newline="")))


def test_a_row_gets_the_context_that_train_gives(
    command: Command, tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_manifest(tmp_path, 1)
    settings = {
        "steps": STEPS, "tokens": 2, "size": 32, "batch-size": 1, "cut-paste": 0, "learning-rate": 0.1,
        "evaluations": 2, "noise-pool": 4, "seed": 0, "prompt": "1girl, smile",
    }  # fmt: skip
    options = [text for name, value in settings.items() for text in (f"--{name}", value)]
    files = ("--image", tmp_path / "p0.png", "--mask", tmp_path / "m0.png")
    with one_thread():
        assert command("train", *files, *options, "--output", tmp_path / "train").code == 0
    assert (tmp_path / "train" / "context.safetensors").read_bytes() in whole.values()


def test_neither_the_number_of_workers_nor_a_bad_row_changes_what_the_others_get(
    command: Command, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    manifest = write_manifest(tmp_path, 3, 'gone.png,m0.png,"1girl",4,2,32,1,0,0.1,2,4,0')
    done = command("batch", manifest, "--output", tmp_path, "--processes", 2)
    assert contexts(tmp_path / "contexts") == whole
    assert done.code == 1
    sentence = f"row 5: image '{tmp_path}/gone.png' cannot be read: there is no such file"
    assert done.out.splitlines()[0] == sentence, "it is said before anything is trained"
    assert done.out.splitlines()[-1] == (
        f"3 of 4 contexts are there (1 bad, 3 trained); report: {tmp_path / 'report.csv'}"
    )
    rows = report(tmp_path)
    assert [(row["row"], row["state"]) for row in rows] == [(str(n), "trained") for n in (2, 3, 4)] + [("5", "bad")]
    for row in rows[:3]:
        ReferenceContext.load(row["result"])
        assert row["verdict"] and float(row["seconds"]) > 0 and not row["error"]
    assert rows[3]["error"] == sentence and not rows[3]["result"]
    assert sentence in (tmp_path / "report.txt").read_text("utf-8")


def test_what_is_there_is_not_trained_again(
    command: Command, tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, store = write_manifest(tmp_path / "one", 3), tmp_path / "shared"
    assert command("batch", manifest, "--output", tmp_path / "one", "--store", store).code == 0

    def refuse(*_: object) -> None:
        raise AssertionError("a worker was started")

    monkeypatch.setattr(open_pool, "WorkerProcess", refuse)
    other = write_manifest(tmp_path / "other", 3)
    (tmp_path / "other" / "p1.png").rename(tmp_path / "other" / "renamed.png")
    other.write_text(other.read_text().replace("p1.png", "renamed.png"))
    done = command("batch", other, "--output", tmp_path / "other", "--store", store)
    assert (done.code, contexts(store)) == (0, whole)
    assert [row["state"] for row in report(tmp_path / "other")] == ["found"] * 3
    assert [row["verdict"] for row in report(tmp_path / "other")] == [
        row["verdict"] for row in report(tmp_path / "one")
    ]
    require_trained_once(store, 3)


def test_two_batches_at_once_train_each_row_once(tmp_path: Path, whole: dict[str, bytes]) -> None:
    store = tmp_path / "store"
    batches = [
        start(write_manifest(tmp_path / name, 3), tmp_path / name, "--store", str(store)) for name in ("one", "other")
    ]
    said = [batch.communicate()[0] for batch in batches]
    assert [batch.returncode for batch in batches] == [0, 0], said
    assert contexts(store) == whole
    require_trained_once(store, 3)
    states = [row["state"] for name in ("one", "other") for row in report(tmp_path / name)]
    assert sorted(states) == ["found"] * 3 + ["trained"] * 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.usefixtures("heeded")
def test_a_batch_that_is_stopped_goes_on_within_its_row(
    number: int, command: Command, tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = BatchTable.step

    def stop(table: BatchTable, asked: Asked, done: int, of: int) -> None:
        shown(table, asked, done, of)
        if (asked.number, done) == (3, 5):
            os.kill(os.getpid(), number)

    manifest = write_manifest(tmp_path, 3)
    with monkeypatch.context() as patched:
        patched.setattr(BatchTable, "step", stop)
        stopped = command("batch", manifest, "--output", tmp_path)
    assert stopped.code == 128 + number
    assert [row["state"] for row in report(tmp_path)] == ["trained", "left", "left"]
    assert command("batch", manifest, "--output", tmp_path).code == 0
    assert [row["state"] for row in report(tmp_path)] == ["found", "trained", "trained"]
    assert contexts(tmp_path / "contexts") == whole
    require_trained_once(tmp_path / "contexts", 3)
    attempts = [record.attempts for record in records(tmp_path / "contexts").values()]
    (resumed,) = (each for each in attempts if len(each) == 2)
    assert resumed[0].from_step == 0 and 5 <= resumed[1].from_step < STEPS


def test_a_worker_that_is_killed_is_started_again_and_its_row_goes_on(tmp_path: Path, whole: dict[str, bytes]) -> None:
    rows, store = asked_of(write_manifest(tmp_path, 1), tmp_path / "store"), Store(tmp_path / "store")
    killed = []

    def kill(asked: Asked, done: int, of: int) -> None:
        if done == 6 and not killed:
            killed.append(store.record(asked.name).attempts[-1].process)
            os.kill(killed[0], signal.SIGKILL)

    pool = open_pool.local_pool(miniature_worker(), 1, kill)
    ended = pool.submit(rows[0]).result()
    pool.close()
    assert ended.state == "trained"
    assert contexts(store.folder).items() <= whole.items()
    first, second = store.record(rows[0].name).attempts
    assert (first.finished, second.finished) == (False, True)
    assert first.process == killed[0] != second.process
    assert second.from_step == 4, "the last checkpoint"


def test_a_row_that_kills_every_worker_is_given_up(tmp_path: Path) -> None:
    (row,) = asked_of(write_manifest(tmp_path, 1), tmp_path / "store")

    def kill(asked: Asked, done: int, of: int) -> None:
        os.kill(Store(tmp_path / "store").record(asked.name).attempts[-1].process, signal.SIGKILL)

    pool = open_pool.local_pool(miniature_worker(), 1, kill)
    ended = pool.submit(replace(row, checkpoint_every=100)).result()
    pool.close()
    assert (ended.state, ended.said) == ("failed", "its worker ended 3 times, at last with signal 9")


def test_a_worker_that_cannot_start_is_said_with_the_last_that_it_printed() -> None:
    worker = WorkerProcess(WorkerCommand("training.manifests.no_such_worker"))
    with pytest.raises(WorkerDied, match="code 1: ModuleNotFoundError: No module named .*no_such_worker"):
        worker.ready()
    worker.close()
    with pytest.raises(ValueError, match="a worker could not start: it ended with code 1: ModuleNotFound"):
        open_pool.local_pool(WorkerCommand("training.manifests.no_such_worker"), None, lambda asked, done, of: None)


@pytest.fixture(scope="module")
def model() -> MiniatureModel:
    return MiniatureModel()


def no_step(report: StepReport) -> None: ...


def test_a_row_that_another_process_holds_is_busy_and_can_be_waited_for(tmp_path: Path, model: MiniatureModel) -> None:
    first, second = asked_of(write_manifest(tmp_path, 2), tmp_path / "store")
    store = Store(tmp_path / "store")
    states: list[str] = []
    with store.claim(first.name, wait=False) as held:
        assert held
        assert train_row(first, model, no_step).state == "busy"
        waiting = threading.Thread(
            target=lambda: states.append(train_row(replace(first, wait=True), model, no_step).state)
        )
        waiting.start()
        assert train_row(second, model, no_step).state == "trained"
        assert not states
        context = store.context(second.name).read_bytes()
        store.context(first.name).write_bytes(context)  # as if the other process had made it
    waiting.join()
    assert states == ["found"]


def test_a_machine_that_sees_another_folder_or_other_pictures_says_so(tmp_path: Path, model: MiniatureModel) -> None:
    first, second = asked_of(write_manifest(tmp_path, 2), tmp_path / "store")
    with pytest.raises(ValueError, match="does not see the store .*, expected a folder that all machines share"):
        train_row(replace(first, store_identity="0"), model, no_step)
    (tmp_path / "p0.png").write_bytes((tmp_path / "p1.png").read_bytes())
    with pytest.raises(ValueError, match="its pictures or the model on .* are not those that the batch began with"):
        train_row(first, model, no_step)

    def swap(report: StepReport) -> None:
        (tmp_path / "m1.png").write_bytes((tmp_path / "m0.png").read_bytes())

    with pytest.raises(ValueError, match="are not those that the batch began with"):
        train_row(second, model, swap)
    assert not contexts(tmp_path / "store")


def test_damaged_files_in_the_store_cost_no_row(tmp_path: Path, model: MiniatureModel, whole: dict[str, bytes]) -> None:
    store = Store(tmp_path / "store")
    (row,) = asked_of(write_manifest(tmp_path, 1), store.folder)
    for damaged in (store.context(row.name), store.checkpoint(row.name), store.folder / f"{row.name}.json"):
        damaged.write_bytes(b'{"attempts": [{"x": 1}]}')
    with one_thread():
        assert train_row(row, model, no_step).state == "trained"
    assert contexts(store.folder).items() <= whole.items()
    require_trained_once(store.folder, 1)
    (store.folder / "store.json").write_bytes(b"[]")
    with pytest.raises(ValueError, match=r"store.json' is damaged"):
        store.prepare()


def test_a_worker_leaves_at_the_end_of_its_input_and_after_a_step_saves_first() -> None:
    def requests() -> tuple[Requests, int, threading.Event]:
        reading, writing = os.pipe()
        left = threading.Event()
        return Requests(os.fdopen(reading, encoding="utf-8"), left.set), writing, left

    idle, writing, left = requests()
    os.close(writing)
    assert left.wait(60)
    busy, writing, left = requests()
    busy.stepped()
    os.close(writing)
    busy._reader.join()
    assert not left.is_set()
    with pytest.raises(InputEnded):
        busy.stepped()


def test_each_gpu_gets_a_worker_and_more_workers_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(open_pool.VISIBLE, raising=False)
    assert [open_pool.environment(number, 2) for number in range(3)] == [
        {open_pool.VISIBLE: "0"}, {open_pool.VISIBLE: "1"}, {open_pool.VISIBLE: "0"},
    ]  # fmt: skip
    monkeypatch.setenv(open_pool.VISIBLE, "4,6")
    assert open_pool.environment(1, 2) == {open_pool.VISIBLE: "6"}
    assert open_pool.environment(1, 1) == {}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--processes", 0), "processes is 0, expected 1 or more"),
        (("--checkpoint-every", 0), "checkpoint_every is 0, expected 1 or more"),
        (("--processes", 2, "--ray-address", "auto"), "--processes came with --ray-address"),
        (("--backbone", "sdxl"), "backbone is 'sdxl', expected one of: miniature, anima"),
        (("--model", "x"), "--model came without --backbone anima, which reads it"),
        (("--backbone", "anima", "--model", "x"), "--clip is missing, expected --model, --clip and --vae"),
        (("--backbone", "anima", "--model", "x", "--clip", "x", "--vae", "x"), "--model 'x' cannot be read"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together_are_refused(
    command: Command, tmp_path: Path, options: tuple[object, ...], sentence: str
) -> None:
    done = command("batch", write_manifest(tmp_path, 1), "--output", tmp_path / "out", *options)
    assert (done.code, done.out) == (2, "")
    assert sentence in done.err
    assert not (tmp_path / "out").exists()


def test_anima_needs_comfyui(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYUI_DIR", str(tmp_path))
    manifest = write_manifest(tmp_path, 1)
    options = [text for name in ("model", "clip", "vae") for text in (f"--{name}", manifest)]
    done = command("batch", manifest, "--output", tmp_path / "out", "--backbone", "anima", *options)
    assert done.code == 2 and f"COMFYUI_DIR is '{tmp_path}', expected ComfyUI's folder" in done.err


def test_ray_is_asked_for_where_it_is_missing(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    done = command("batch", write_manifest(tmp_path, 1), "--output", tmp_path, "--ray-address", "auto")
    assert done.code == 2 and "pip install 'anima-fast-train[cluster]'" in done.err
