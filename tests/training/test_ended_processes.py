"""A training that was killed, or whose disk was full, leaves whole files and goes on to the same bits.

The large runs are commands: see judge_kills and judge_disks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

NO_DISK = 77  # what judge_disks ends with where it can have none

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork to run many trainings")


def judged(script: str, count: int) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__).with_name(script)), str(count)]
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    if ended.returncode == NO_DISK:
        pytest.skip("needs Linux with namespaces for users, to have a small disk")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_killed_runs_keep_what_they_said_and_go_on_to_the_same_files() -> None:
    said = judged("judge_kills.py", 4)
    assert said["kills"] == {"SIGKILL": 1, "SIGTERM": 1, "SIGHUP": 1, "SIGINT": 1}
    assert 1 <= said["resumed"] <= 4


def test_runs_into_full_disks_keep_their_context_and_go_on_to_the_same_files() -> None:
    said = judged("judge_disks.py", 3)
    assert sum(said["outcomes"].values()) == said["disks"] == 3
