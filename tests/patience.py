"""How long tests wait for what may never come: as long as a quiet machine needs many times over, and longer where this
machine is slower or busy. The only place that knows."""

from __future__ import annotations

import subprocess
import sys
import time
from functools import lru_cache

QUIET_SECONDS = 3.0  # that a new Python takes to import torch on a quiet machine of two cores
LONGEST_MEASUREMENT = 600

START = 180  # seconds on a quiet machine; ComfyUI answers there within ten
PROMPT = 600
PAGE = 120  # for anything that a browser is waited for
MODULE = 1800  # of checks inside ComfyUI's Python
ANSWER = 60  # of a server that runs


@lru_cache(maxsize=1)
def slowness() -> float:
    """How many times longer than on a quiet machine the start of a program takes here and now, at least 1."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", "import torch"], check=True, timeout=LONGEST_MEASUREMENT)
    return max(1.0, (time.monotonic() - started) / QUIET_SECONDS)


def patience(quiet_seconds: float) -> float:
    """Seconds to wait here for what would be given so many on a quiet machine."""
    return quiet_seconds * slowness()
