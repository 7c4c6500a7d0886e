"""Ctrl-C, SIGTERM and SIGHUP end a run in the same way: between two steps, with a checkpoint, and a code that says
which it was."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

# Windows knows no SIGHUP.
ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))


class Stopped(KeyboardInterrupt):
    """The run was asked to end by signal `number`; a KeyboardInterrupt, so that whoever saves after that one does."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    @property
    def exit_code(self) -> int:
        """What a shell expects of a process that a signal ended."""
        return 128 + self.number


@dataclass
class Stopping:
    """at_once: whether a signal ends the run where it is, rather than where `check` is called next. A second signal
    always does."""

    at_once: bool = True
    stepped: bool = False  # whether a step was done
    kept: Path | None = None  # where the trained context lies, once it does
    _asked: int | None = field(default=None, init=False)

    def check(self) -> None:
        """Raises Stopped where a signal came since."""
        if self._asked is not None:
            raise Stopped(self._asked)

    def hold_back(self) -> None:
        """A step is done, and from now on there is something to lose: signals wait for `check`."""
        self.at_once, self.stepped = False, True

    def release(self) -> None:
        """All is kept: a signal that waited ends the run now, and the next one at once."""
        self.at_once = True
        self.check()

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        if self.at_once or self._asked is not None:
            raise Stopped(number)
        self._asked = number


@contextmanager
def stopped_by_signals() -> Iterator[Stopping]:
    """What `nohup` or a shell has told the process to ignore stays ignored."""
    stopping = Stopping()
    before = {number: signal.getsignal(number) for number in ENDING}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, stopping._ask)
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
