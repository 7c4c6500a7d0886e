"""Limits grow with the time that a program takes to start, also where the machine gets busy while tests run."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from patience import QUIET_SECONDS, SECONDS_BETWEEN_MEASUREMENTS, Slowness


class Machine:
    """Starts a program in `start` seconds; time passes only where a test lets it."""

    def __init__(self, start: float) -> None:
        self.start, self.time, self.measured = start, 0.0, 0

    def measure(self) -> float:
        self.measured += 1
        return self.start

    def slowness(self) -> Slowness:
        return Slowness(self.measure, lambda: self.time)


def test_a_machine_five_times_slower_is_waited_for_five_times_longer() -> None:
    assert Machine(5 * QUIET_SECONDS).slowness().now() == 5


def test_a_faster_machine_is_given_what_a_quiet_one_needs() -> None:
    assert Machine(QUIET_SECONDS / 5).slowness().now() == 1


def test_it_is_measured_again_now_and_then_and_not_at_every_wait() -> None:
    machine = Machine(QUIET_SECONDS)
    slowness = machine.slowness()
    assert [slowness.now() for _ in range(9)] == [1] * 9
    assert machine.measured == 1
    machine.start, machine.time = 4 * QUIET_SECONDS, SECONDS_BETWEEN_MEASUREMENTS
    assert slowness.now() == 4


def test_one_quiet_moment_does_not_end_the_patience() -> None:
    machine = Machine(6 * QUIET_SECONDS)
    slowness = machine.slowness()
    slowness.now()
    machine.start, machine.time = QUIET_SECONDS, SECONDS_BETWEEN_MEASUREMENTS
    assert slowness.now() == 6
    machine.time *= 2
    assert slowness.now() == 1
