"""A run that was given minutes ends when they are over, and says what it did not reach."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def test_no_test_is_begun_when_the_minutes_are_over_and_the_end_says_so() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE / "test_house.py")],
        cwd=HERE.parent,
        env={**os.environ, "ANIMA_FAST_TRAIN_TEST_MINUTES": "0"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0
    assert "passed" not in run.stdout
    *_, last = run.stdout.strip().splitlines()
    assert "x the 0 minutes that ANIMA_FAST_TRAIN_TEST_MINUTES gives this run are over" in last
