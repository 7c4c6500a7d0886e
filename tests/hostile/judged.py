"""What every border has to do with anything: work, or say one sentence of ours."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Small in the ordinary suite; HOSTILE_CASES=1 runs all of what the generators make, and says what they cost.
ALL = bool(os.environ.get("HOSTILE_CASES"))
LONGEST, MOST_MEMORY = 1.0, 200 * 2**20  # of a refusal: the processor's seconds, and bytes


def cases(few: int, many: int) -> int:
    """How many examples a generator makes in this run."""
    return many if ALL else few


def check_sentence(said: str) -> None:
    assert 0 < len(said) <= 300, (len(said), said)
    assert said.isprintable(), ascii(said)


def refusals(attempt: Callable[[Any], object], inputs: list[Any]) -> dict[int, str]:
    """The sentences of the inputs that were refused, by their number. Any other exception goes through.

    With ALL raises AssertionError too for a refusal that took longer or more memory than it may.
    """
    said: dict[int, str] = {}
    slowest, largest = (0.0, ""), (0, "")
    for number, given in enumerate(inputs):
        started = time.process_time()
        with peak_bytes() as peak:
            try:
                attempt(given)
            except ValueError as refused:
                assert type(refused) is not UnicodeEncodeError, ascii(given)
                check_sentence(str(refused))
                said[number] = str(refused)
        if number in said:
            slowest = max(slowest, (time.process_time() - started, ascii(given)[:100]))
            largest = max(largest, (peak.bytes, ascii(given)[:100]))
    if ALL:
        print(
            f"\n{len(inputs)} inputs, {len(said)} refused; slowest refusal {slowest[0]:.3f} s: {slowest[1]}; "
            f"largest {largest[0] / 2**20:.1f} MiB: {largest[1]}"
        )
        assert slowest[0] < LONGEST and largest[0] < MOST_MEMORY
    return said


@dataclass
class Peak:
    """What a process took at most beyond what it had; 0 where the system does not say."""

    bytes: int = 0


@contextmanager
def peak_bytes() -> Iterator[Peak]:
    """How far the memory of this process rises inside, as Linux counts it."""
    peak, status = Peak(), Path("/proc/self/status")
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the highest mark is set to what is used now
    except OSError:
        yield peak
        return
    before = _kibibytes(status, "VmRSS")
    try:
        yield peak
    finally:
        peak.bytes = 1024 * max(0, _kibibytes(status, "VmHWM") - before)


def _kibibytes(status: Path, name: str) -> int:
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(f"{name}:"))
