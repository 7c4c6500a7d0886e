"""Ends each run with the number of skipped tests and the reason for each, where nobody can overlook it.

A run may be given so many minutes, after which no further test is begun: on a machine that is shared or slow a whole
run would keep others waiting, and what was not reached is said with the skipped tests.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Generator

import pytest

MINUTES = float(os.environ.get("ANIMA_FAST_TRAIN_TEST_MINUTES", "inf"))
# What needs nothing but Python is told first; a real ComfyUI and a browser take most of the time.
LAST = ("comfyui", "browser")
STARTED = time.monotonic()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: [folder in item.path.parts for folder in reversed(LAST)])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if time.monotonic() - STARTED > 60 * MINUTES:
        pytest.skip(f"the {MINUTES:g} minutes that ANIMA_FAST_TRAIN_TEST_MINUTES gives this run are over")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, None, None]:
    """Write the summary after everything that pytest itself prints at the end."""
    yield
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    reasons = Counter(skip_reason(report) for report in reporter.stats.get("skipped", []))
    reporter.write_line(f"Skipped tests: {reasons.total()}")
    for reason, count in sorted(reasons.items()):
        reporter.write_line(f"  {count} x {reason}")


def skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The reason alone, without the file and line that pytest puts before it."""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return str(report.longrepr)
