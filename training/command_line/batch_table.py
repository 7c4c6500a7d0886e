"""Shows a batch while it runs: on a terminal a table of what is being trained, everywhere a line for each row that has
ended."""

from __future__ import annotations

import threading
from contextlib import suppress
from types import TracebackType

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from ..manifests.report import RowReport, image_name
from ..manifests.train_row import Asked

LOOKED_AT, TRAINED = "rows looked at", "rows ended"


class BatchTable:
    """The `Watcher` of a batch of so many rows; `step` may be called by any thread."""

    def __init__(self, rows: int) -> None:
        self._console = Console()
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._rows = rows
        self._guard = threading.Lock()
        self._shown: dict[int, TaskID] = {}
        self._all = self._progress.add_task(LOOKED_AT, total=rows)

    def __enter__(self) -> BatchTable:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # the terminal may be gone
            self._progress.stop()

    def looked_at(self) -> None:
        self._progress.advance(self._all)

    def training(self, count: int) -> None:
        """So many rows are left to train."""
        self._progress.update(self._all, description=TRAINED, completed=self._rows - count)

    def step(self, asked: Asked, done: int, of: int) -> None:
        with self._guard:
            if asked.number not in self._shown:
                words = f"row {asked.number} {image_name(asked.cells['image'])}"
                self._shown[asked.number] = self._progress.add_task(words, total=of)
            self._progress.update(self._shown[asked.number], completed=done)

    def ended(self, row: RowReport, trace: str) -> None:
        with self._guard:
            if row.row in self._shown:
                self._progress.remove_task(self._shown.pop(row.row))
        if row.state in ("trained", "failed"):
            self._progress.advance(self._all)
        with suppress(OSError):
            if row.state != "found":
                self._say(row.line())
            if trace:
                self._say(trace)

    def _say(self, text: str) -> None:
        if self._console.is_terminal:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            typer.echo(text)
