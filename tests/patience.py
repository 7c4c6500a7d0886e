"""How long tests wait for what may never come: as long as a quiet machine needs many times over, and longer where this
machine is slower or busy. The only place that knows."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

QUIET_SECONDS = 3.0  # that a new Python takes to import torch on a quiet machine of two cores
LONGEST_MEASUREMENT = 600
SECONDS_BETWEEN_MEASUREMENTS = 300

START = 180  # seconds on a quiet machine; ComfyUI answers there within ten
PROMPT = 600
PAGE = 120  # for anything that a browser is waited for
MODULE = 1800  # of checks inside ComfyUI's Python
ANSWER = 60  # of a server that runs


def measured_start() -> float:
    """Seconds that a new Python takes here and now to import torch."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", "import torch"], check=True, timeout=LONGEST_MEASUREMENT)
    return time.monotonic() - started


class Slowness:
    """How many times longer than on a quiet machine the start of a program takes, at least 1.

    Measured again now and then, since others may come while tests run; the longer of the last two measurements counts.
    """

    def __init__(self, measure: Callable[[], float] = measured_start, clock: Callable[[], float] = time.monotonic):
        self._measure, self._clock = measure, clock
        self._last: list[float] = []
        self._due = 0.0

    def now(self) -> float:
        if not self._last or self._clock() >= self._due:
            self._last = [*self._last[-1:], max(1.0, self._measure() / QUIET_SECONDS)]
            self._due = self._clock() + SECONDS_BETWEEN_MEASUREMENTS
        return max(self._last)


SLOWNESS = Slowness()


def patience(quiet_seconds: float) -> float:
    """Seconds to wait here for what would be given so many on a quiet machine."""
    return quiet_seconds * SLOWNESS.now()
