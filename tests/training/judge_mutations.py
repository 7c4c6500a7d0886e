"""Judges what comes of damaged contexts, checkpoints, cards and imported soft tokens.

    python tests/training/judge_mutations.py context 10000
    python tests/training/judge_mutations.py checkpoint 10000
    python tests/training/judge_mutations.py card 10000
    python tests/training/judge_mutations.py soft-token 2000

judges as many and says what came of them, with the longest time and the most memory that one of them took. Ends with an
error where one was neither loaded as it was saved nor refused in one sentence, or took a second or 200 MiB.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "hostile"))

import saved_card
import saved_context
import saved_run
import saved_soft_tokens
from file_mutations import Mutation, Subject, lay, mutation
from judged import LONGEST, MOST_MEMORY, check_sentence, peak_bytes

# Modules, each of them a subject.
SUBJECTS: dict[str, Subject] = {
    "context": saved_context,
    "checkpoint": saved_run,
    "card": saved_card,
    "soft-token": saved_soft_tokens,
}
HANGS = 60  # seconds


@dataclass(frozen=True)
class Outcome:
    """said: the sentence of the refusal, or "" for what was loaded. seconds are the processor's."""

    mutation: str
    said: str
    seconds: float
    bytes: int


def judge(subject: Subject, mutated: Mutation, path: Path) -> Outcome:
    """Raises AssertionError where something else came back than the file holds, what is sound was refused, or what is
    not was loaded; and whatever loading raises beside a ValueError."""
    lay(mutated, path)
    said, loaded = "", None
    with peak_bytes() as peak, ended_where_it_hangs():
        started = time.process_time()
        try:
            loaded = subject.load(path)
        except ValueError as error:
            assert type(error) is ValueError, mutated.name
            said = str(error)
        seconds = time.process_time() - started
    if loaded is None:
        check_sentence(said)
        assert mutated.sound is not True, (mutated.name, said)
    else:
        assert mutated.sound is not False, mutated.name
        assert subject.agrees(loaded, mutated.holds), mutated.name
    return Outcome(mutated.name, said, seconds, peak.bytes)


@contextmanager
def ended_where_it_hangs() -> Iterator[None]:
    """What waits without end fails after HANGS seconds."""

    def end(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"not loaded within {HANGS} seconds")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(HANGS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def outcomes(subject: Subject, count: int, folder: Path) -> Iterator[Outcome]:
    """What came of each mutation of the seeds below `count`, in a folder of its own."""
    whole, place = subject.saved(), folder / "judged"
    place.mkdir()
    for seed in range(count):
        mutated = mutation(subject, whole, seed)
        try:
            yield judge(subject, mutated, place / "a.safetensors")
        except Exception as error:
            raise AssertionError(f"seed {seed}, {mutated.name}: {error!r}") from error


def summed_up(judged: list[Outcome]) -> dict[str, object]:
    slowest = max(judged, key=lambda outcome: outcome.seconds)
    largest = max(judged, key=lambda outcome: outcome.bytes)
    return {
        "files": len(judged),
        "refused": sum(bool(outcome.said) for outcome in judged),
        "loaded": dict(Counter(outcome.mutation for outcome in judged if not outcome.said)),
        "slowest": slowest.mutation,
        "seconds": round(slowest.seconds, 4),
        "largest": largest.mutation,
        "mebibytes": round(largest.bytes / 2**20, 1),
    }


def main() -> None:
    kind, count = sys.argv[1], int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(f"{folder}/first")
        list(outcomes(SUBJECTS[kind], 20, Path(folder, "first")))  # so that what is needed once is not counted
        judged = list(outcomes(SUBJECTS[kind], count, Path(folder)))
    print(json.dumps(summed_up(judged)))
    if any(outcome.seconds >= LONGEST or outcome.bytes >= MOST_MEMORY for outcome in judged):
        raise SystemExit("one of them took a second or 200 MiB")


if __name__ == "__main__":
    main()
