"""What every border has to do with anything: work, or say one sentence of ours."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Small in the ordinary suite; HOSTILE_CASES=1 runs all of what the generators make, and prints the slowest.
ALL = bool(os.environ.get("HOSTILE_CASES"))


def cases(few: int, many: int) -> int:
    """How many examples a generator makes in this run."""
    return many if ALL else few


def check_sentence(said: str) -> None:
    assert 0 < len(said) <= 300, (len(said), said)
    assert said.isprintable(), ascii(said)


def refusals(attempt: Callable[[Any], object], inputs: list[Any]) -> dict[int, str]:
    """The sentences of the inputs that were refused, by their number. Any other exception goes through."""
    said: dict[int, str] = {}
    slowest = (0.0, "")
    for number, given in enumerate(inputs):
        started = time.perf_counter()
        try:
            attempt(given)
        except ValueError as refused:
            assert type(refused) is not UnicodeEncodeError, ascii(given)
            check_sentence(str(refused))
            said[number] = str(refused)
        slowest = max(slowest, (time.perf_counter() - started, ascii(given)[:100]))
    if ALL:
        print(f"\n{len(inputs)} inputs, {len(said)} refused, slowest {slowest[0]:.2f} s: {slowest[1]}")
    return said


@dataclass
class Peak:
    """What a process took at most beyond what it had; 0 where the system does not say."""

    bytes: int = 0


@contextmanager
def peak_bytes() -> Iterator[Peak]:
    """How far the memory of this process rises inside, as Linux counts it."""
    peak, status = Peak(), Path("/proc/self/status")
    if not status.exists():
        yield peak
        return
    Path("/proc/self/clear_refs").write_text("5")  # the highest mark is set to what is used now
    before = _kibibytes(status, "VmRSS")
    try:
        yield peak
    finally:
        peak.bytes = 1024 * max(0, _kibibytes(status, "VmHWM") - before)


def _kibibytes(status: Path, name: str) -> int:
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(f"{name}:"))
