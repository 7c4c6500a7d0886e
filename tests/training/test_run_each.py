"""Measurements that run side by side end with the command that began them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from anima_fast_train.training.measurements.run_each import run_each

ENDLESS = """
import sys, threading
from anima_fast_train.training.measurements.run_each import run_each

def work(task):
    print("begun", flush=True)
    threading.Event().wait()

if __name__ == "__main__":
    list(run_each(work, [1, 2], 2))
"""


def squared(number: int) -> int:
    return number * number


@pytest.mark.parametrize("processes", [1, 2])
def test_each_task_has_its_result(processes: int) -> None:
    assert dict(run_each(squared, [2, 3, 4], processes)) == {2: 4, 3: 9, 4: 16}


def test_workers_end_with_a_command_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "endless.py"
    script.write_text(ENDLESS)
    command = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert command.stdout is not None
    assert [command.stdout.readline() for _ in range(2)] == ["begun\n"] * 2
    command.kill()
    command.communicate(timeout=300)  # the workers hold its other end as long as they live
