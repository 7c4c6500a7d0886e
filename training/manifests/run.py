"""Runs a manifest: looks at its rows, trains those whose results are missing on a pool of workers, and knows of each
what became of it."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ...masking.wording import printable, sentence
from .local_pool import Pool
from .manifest_file import BadRow, ManifestRow, Row
from .plan import Model, PlannedRow, planned
from .report import RowReport, image_name
from .store import Store
from .train_row import Asked, Ended


class Watcher(Protocol):
    """Who shows a batch while it runs."""

    def looked_at(self) -> None:
        """One more row, before anything is trained."""

    def ended(self, row: RowReport, trace: str) -> None:
        """trace: of a mistake of ours, or ""."""


@dataclass(frozen=True)
class BatchFolders:
    """Where a batch reads and writes: the manifest's own folder, and the store with what `Store.prepare` gave."""

    manifest: Path
    store: Store
    identity: str


class BatchRun:
    """One run of a manifest. `reports` has what is known of its rows, by number."""

    def __init__(self, rows: Sequence[Row], folders: BatchFolders, watcher: Watcher) -> None:
        self._rows, self._folders, self._watcher = rows, folders, watcher
        self._images = {
            row.number: image_name(row.cells.get("image", "")) for row in rows if isinstance(row, ManifestRow)
        }
        self.reports: dict[int, RowReport] = {}

    def plan(self, model: Model, checkpoint_every: int) -> list[Asked]:
        """The rows that are to be trained; of the others it is known now what became of them."""
        asked = []
        for each in planned(self._rows, self._folders.manifest, model, self._folders.store):
            self._watcher.looked_at()
            if isinstance(each, BadRow):
                self._note(self._report(each.number, "bad", each.said))
            elif each.is_there:
                record = self._folders.store.record(each.name)
                self._note(self._found(each.row.number, each.name, Ended("found", record.verdict, record.seconds)))
            else:
                asked.append(self._asked(each, checkpoint_every))
        return asked

    def train(self, pool: Pool, rows: Sequence[Asked]) -> None:
        for asked, ended in run_rows(pool, rows):
            if ended.state == "failed":
                error = sentence(f"row {asked.number}: {ended.said}")
                self._note(self._report(asked.number, "failed", error), ended.trace)
            else:
                self._note(self._found(asked.number, asked.name, ended))

    def report(self) -> list[RowReport]:
        """Of every row in order; of those that nobody came to, that they are left."""
        return [
            self.reports.get(row.number) or self._report(row.number, "left", f"row {row.number}: it is not trained yet")
            for row in self._rows
        ]

    def _note(self, row: RowReport, trace: str = "") -> None:
        self.reports[row.row] = row
        self._watcher.ended(row, trace)

    def _report(self, number: int, state: str, error: str = "") -> RowReport:
        return RowReport(number, self._images.get(number, ""), state, error=error)

    def _found(self, number: int, name: str, ended: Ended) -> RowReport:
        result = str(self._folders.store.context(name))
        row = self._report(number, ended.state)
        return replace(row, result=result, verdict=ended.said, seconds=ended.seconds)

    def _asked(self, row: PlannedRow, checkpoint_every: int) -> Asked:
        return Asked(
            number=row.row.number,
            cells=dict(row.row.cells),
            folder=str(self._folders.manifest),
            name=row.name,
            store=str(self._folders.store.folder),
            store_identity=self._folders.identity,
            checkpoint_every=checkpoint_every,
        )


def run_rows(pool: Pool, rows: Sequence[Asked]) -> Iterator[tuple[Asked, Ended]]:
    """Each row and how it ended, as soon as it has. A row that another batch is training is asked for once more after
    all others, and then waited for."""
    ended: queue.SimpleQueue[tuple[Asked, Future[Ended]]] = queue.SimpleQueue()

    def submit(asked: Asked) -> None:
        pool.submit(asked).add_done_callback(lambda future: ended.put((asked, future)))

    for asked in rows:
        submit(asked)
    left = len(rows)
    while left:
        asked, future = ended.get()
        outcome = _outcome(future)
        if outcome.state == "busy":
            submit(replace(asked, wait=True))
            continue
        left -= 1
        yield asked, outcome


def _outcome(future: Future[Ended]) -> Ended:
    try:
        return future.result()
    except CancelledError:
        return Ended("failed", "its batch was ended")
    except Exception as error:  # of Ray, which has a dozen kinds, or a worker that could not be started
        return Ended("failed", f"{type(error).__name__}: {printable(error, 200)}")
