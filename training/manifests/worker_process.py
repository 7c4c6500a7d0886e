"""A worker as whoever starts it sees it: a process that trains one row after the other, and may die."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from ...masking.wording import printable
from . import boot
from .train_row import Asked, Ended
from .worker import ENDED, READY, STEP

PACKAGE = __name__.removesuffix(".training.manifests.worker_process")
LAST_BYTES = 4000  # of what a worker printed, to say why it died
OnStep = Callable[[int, int], None]


class WorkerDied(Exception):
    """The process ended by itself; the message says how, as the end of a sentence."""


@dataclass(frozen=True)
class WorkerCommand:
    """module: of the worker, below the package. python: None is the one that asks. script: below the package's folder,
    what that Python runs first. Plain values, which travel to other machines."""

    module: str
    arguments: tuple[str, ...] = ()
    python: str | None = None
    script: str = "training/manifests/boot.py"

    def line(self) -> list[str]:
        return [self.python or sys.executable, str(boot.ROOT / self.script), PACKAGE, self.module, *self.arguments]


class WorkerProcess:
    """Starts at once; `ready` waits until its model is there. Raises OSError where it cannot be started."""

    def __init__(self, command: WorkerCommand, environment: Mapping[str, str] | None = None) -> None:
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._process = subprocess.Popen(
            command.line(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._printed,
            env={**os.environ, **(environment or {})},
            encoding="utf-8",
            # Ctrl-C in the terminal is for whoever started it, who then closes the input.
            start_new_session=True,
        )

    def ready(self) -> dict[str, Any]:
        """What it says of itself: `devices`, on how many GPUs it could train. Raises WorkerDied."""
        said = self._next()
        assert said["kind"] == READY, said
        return said

    def train(self, asked: Asked, on_step: OnStep = lambda done, of: None) -> Ended:
        """Raises WorkerDied."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(asdict(asked)) + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError):  # ValueError: the input was closed meanwhile
            raise self._death() from None
        while True:
            said = self._next()
            kind = said.pop("kind")
            if kind == STEP:
                on_step(said["done"], said["of"])
            elif kind == ENDED:
                return Ended(**said)

    def close(self) -> None:
        """Lets it leave its run after the step, and waits for that."""
        self.end_input()
        assert self._process.stdout is not None
        for _ in self._process.stdout:  # or a full pipe would hold it up
            pass
        self._process.wait()
        self._process.stdout.close()
        self._printed.close()

    def end_input(self) -> None:
        """The first half of `close`, which does not wait."""
        assert self._process.stdin is not None
        with suppress(OSError):  # it has died with a row half sent
            self._process.stdin.close()

    def _next(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            raise self._death()
        said = json.loads(line)
        assert isinstance(said, dict)
        return said

    def _death(self) -> WorkerDied:
        code = self._process.wait()
        how = f"signal {-code}" if code < 0 else f"code {code}"
        size = self._printed.seek(0, os.SEEK_END)
        self._printed.seek(max(0, size - LAST_BYTES))
        lines = self._printed.read().decode("utf-8", "replace").strip().splitlines()
        return WorkerDied(f"{how}{': ' + printable(lines[-1], 160) if lines else ''}")
