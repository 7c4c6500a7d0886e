"""Runs of the real command `train`, each in a process of its own that is forked from one that has imported everything.

Importing torch takes seconds and a small run takes one. A fork is sound only while the process has a single thread,
which is why torch is told to use no other; `start` makes sure of it. What is forked runs the command's own `main`, with
the signals as a shell hands them on.
"""

from __future__ import annotations

import functools
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MPLBACKEND": "Agg"}

import matplotlib.pyplot  # noqa: F401 - what a run imports late is to be there before the fork
import torch
from PIL import Image

from anima_fast_train.training.command_line import before_after, main, outputs, watching
from anima_fast_train.training.command_line.output_folder import LOCK
from anima_fast_train.training.command_line.stopping_signals import ENDING
from anima_fast_train.training.command_line.watching import CHECKPOINT, EVENTS
from anima_fast_train.training.miniature.backbone import sample
from anima_fast_train.training.miniature.scene import draw_reference
from anima_fast_train.training.resuming.run_state import TrainingState
from anima_fast_train.training.trainables.context_file import ReferenceContext

torch.set_num_threads(1)


def quick_png(image: Image.Image) -> bytes:
    """Half of a small run would go into smaller files."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


# Pictures of few steps: nothing of a run depends on them.
before_after.sample = functools.partial(sample, steps=1)
before_after.SEEDS = (1,)
watching.PREVIEW_STEPS, watching.PREVIEW_SEEDS = 1, (1,)
outputs.png = watching.png = quick_png

STEPS, TOKENS = 10, 2
OPTIONS = (
    "--size", "32", "--steps", str(STEPS), "--tokens", str(TOKENS), "--batch-size", "1", "--evaluations", "2",
    "--ema", "0.5", "--noise-pool", "4", "--preview-every", "4",
)  # fmt: skip
CONTEXT = "context.safetensors"
# Without the time that a run took, which no two runs share.
ALIKE = (CONTEXT, "history.csv", "loss.png", "mask.png", "before_after.png")


@dataclass(frozen=True)
class Ended:
    """code: what a shell sees; minus a signal's number where the signal ended the process. said: all that the run
    printed."""

    code: int
    said: str


@dataclass(frozen=True)
class Running:
    process: int
    said: Path

    def kill(self, number: int) -> None:
        os.kill(self.process, number)

    def ended(self) -> bool:
        return os.waitid(os.P_PID, self.process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def wait(self) -> Ended:
        code = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
        return Ended(code, self.said.read_text(encoding="utf-8", errors="replace"))


def draw_files(folder: Path) -> tuple[str, ...]:
    """A picture and its mask in the folder; the options that name them."""
    drawn = draw_reference(7)
    drawn.picture.resize((32, 32)).save(folder / "picture.png")
    drawn.mask.resize((32, 32)).save(folder / "mask.png")
    return ("--image", str(folder / "picture.png"), "--mask", str(folder / "mask.png"), "--prompt", "1girl")


def start(options: tuple[str, ...], output: Path, said: Path, before: Callable[[], object] = lambda: None) -> Running:
    """Begins a run into `output`; goes on from the checkpoint where one lies there. before: what the new process does
    first."""
    threads = Path("/proc/self/task")
    assert not threads.exists() or len(list(threads.iterdir())) == 1, "a process of several threads cannot be forked"
    resume = ("--resume", str(output / CHECKPOINT)) if (output / CHECKPOINT).exists() else ()
    sys.stdout.flush()
    # One that comes before the new process knows where it ends would make it go on as if it were this one.
    before_fork = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    child = os.fork()
    if child:
        signal.pthread_sigmask(signal.SIG_SETMASK, before_fork)
        return Running(child, said)
    code = 1
    try:
        descriptor = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before_fork)
        before()
        sys.argv = ["anima-fast-train", "train", *options, *OPTIONS, *resume, "--output", str(output)]
        main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def results(folder: Path) -> dict[str, bytes]:
    """Those files of a run that are the same in every run of the same options: context, history and pictures, and
    whatever a preview kept."""
    files = (path for path in folder.iterdir() if path.name in ALIKE or path.name.startswith(("preview_", "context_")))
    return {path.name: path.read_bytes() for path in files}


def require_whole(folder: Path, whole: dict[str, bytes]) -> None:
    """Raises AssertionError where a file of a run that was ended is not whole, or is not the one of the whole run."""
    for path in folder.iterdir() if folder.exists() else ():
        if path.name in whole:
            assert path.read_bytes() == whole[path.name], f"{path.name} is not the one of the whole run"
        elif path.name == CHECKPOINT:
            TrainingState.load(path)
        elif path.suffix == ".png":
            with Image.open(path) as picture:
                picture.load()
        elif path.suffix == ".safetensors":
            ReferenceContext.load(path)
        else:
            # What is half written has a name of its own, which the next run clears away.
            hidden = path.name == LOCK or path.name.startswith(".anima-") and path.suffix == ".tmp"
            assert hidden or path.name in (EVENTS, "info.txt", "report.json"), f"{path.name} lies there"


def require_resumed(options: tuple[str, ...], folder: Path, said: Path, whole: dict[str, bytes]) -> None:
    """Goes on to the end, to the very files of the whole run and no others. Previews of steps that were done before are
    not drawn again where the disk did not take them."""
    ended = start(options, folder, said).wait()
    assert ended.code == 0, ended
    assert set(ALIKE) <= results(folder).keys()
    require_whole(folder, whole)
    left = [path.name for path in folder.iterdir() if path.name == LOCK or path.name.startswith(".anima-")]
    assert not left, left
