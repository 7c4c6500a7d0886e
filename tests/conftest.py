"""Ends each run with the number of skipped tests and the reason for each, where nobody can overlook it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator

import pytest


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
