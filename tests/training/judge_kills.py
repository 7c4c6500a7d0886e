"""Kills trainings at random moments and judges what is left of them.

    python tests/training/judge_kills.py 100

kills as many, a quarter each by SIGKILL, SIGTERM, SIGHUP and Ctrl-C, some of them again after they went on. Whatever
was reported as kept has to be there and every file whole, and each run has to go on to the very files of a run that
nobody killed. A second number is the seed.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from forked_runs import (
    CHECKPOINT,
    CONTEXT,
    STEPS,
    Ended,
    Running,
    draw_files,
    require_resumed,
    require_whole,
    results,
    start,
)

from anima_fast_train.training.resuming.run_state import TrainingState

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
AWAITED = ("preview_000004.png", "context_000008.safetensors", CONTEXT, "loss.png")
AGAIN = 0.3  # of the killed runs are killed once more when they go on


@dataclass
class Judge:
    """A whole run, and what came of those that were killed."""

    folder: Path
    options: tuple[str, ...]
    whole: dict[str, bytes]
    seconds: float
    kills: Counter[str] = field(default_factory=Counter)
    moments: Counter[str] = field(default_factory=Counter)
    resumed: int = 0

    def trial(self, number: int, chance: random.Random, most: int) -> None:
        """One run, killed once or more often but at most so many times, which then goes on to its end."""
        output, said = self.folder / f"run{number}", self.folder / f"run{number}.txt"
        every = ("--checkpoint-every", str(chance.choice([1, 4, 100])))
        while True:
            kind = SIGNALS[self.kills.total() % len(SIGNALS)]
            before = steps_kept(output)
            running = start((*self.options, *every), output, said)
            self.wait(running, output, chance)
            running.kill(kind)
            ended = running.wait()
            self.kills[kind.name] += 1
            self.moments[self.moment(output, ended, kind)] += 1
            assert steps_kept(output) >= before, "steps that were kept before are lost"
            most -= 1
            if not most or chance.random() > AGAIN:
                break
        require_resumed(self.options, output, said, self.whole)
        assert results(output) == self.whole
        self.resumed += 1

    def wait(self, running: Running, output: Path, chance: random.Random) -> None:
        """Until some moment after the run has begun, drawn, or written something that it did not have."""
        awaited = chance.choice([path for path in (None, *AWAITED) if path is None or not (output / path).exists()])
        while awaited and not (output / awaited).exists() and not running.ended():
            time.sleep(0.001)
        time.sleep(chance.uniform(0, self.seconds / 3))

    def moment(self, output: Path, ended: Ended, kind: signal.Signals) -> str:
        """When the signal came, by what the run says. Raises AssertionError where that is not so."""
        require_whole(output, self.whole)
        assert "Traceback" not in ended.said, ended.said
        if ended.code == -kind:
            return "killed" if kind == signal.SIGKILL else "outside of the run"
        if ended.code == 0:
            assert (output / CONTEXT).exists()
            return "too late"
        assert ended.code == 128 + kind, ended
        if "stopped before the first step" in ended.said:
            return "before the first step"
        if "what it trained is in" in ended.said:
            assert (output / CONTEXT).exists(), ended
            return "while results were written"
        if "--resume" in ended.said:
            assert steps_kept(output) > 0, ended
            return "between steps"
        assert kind == signal.SIGINT, ended  # which Python itself answers; the others end the process
        return "outside of the run"


def steps_kept(output: Path) -> int:
    """How many steps the checkpoint in a folder holds; 0 without one."""
    path = output / CHECKPOINT
    return int(TrainingState.load(path).record["position"]["done"]) if path.exists() else 0


def judge(count: int, seed: int, folder: Path) -> dict[str, object]:
    options = draw_files(folder)
    for name in ("first", "whole"):  # the first one pays for what is loaded once
        started = time.monotonic()
        ended = start(options, folder / name, folder / f"{name}.txt").wait()
        assert ended.code == 0, ended
    seconds = time.monotonic() - started
    whole = results(folder / "whole")
    assert whole == results(folder / "first") and len(whole) == 9
    judged = Judge(folder, options, whole, seconds)
    number = 0
    while judged.kills.total() < count:
        judged.trial(number, random.Random(f"{seed} {number}"), count - judged.kills.total())
        number += 1
    return {
        "kills": dict(judged.kills),
        "moments": dict(judged.moments),
        "resumed": judged.resumed,
        "steps": STEPS,
        "seconds of a whole run": round(seconds, 2),
    }


def main() -> None:
    count, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(judge(count, seed, Path(folder))))


if __name__ == "__main__":
    main()
