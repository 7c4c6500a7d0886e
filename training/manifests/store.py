"""The folder that keeps the results of batches by their names, which several batches on several machines may share."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...masking.wording import quoted, sentence
from ..files.atomic_file import create_new, remove_abandoned, write_atomically
from ..files.bounded_json import loads
from ..files.file_lock import file_lock
from ..files.regular_file import open_regular
from ..resuming.run_state import TrainingState
from ..trainables.context_file import ReferenceContext

IDENTITY = "store.json"
UNFINISHED = "unfinished"
LARGEST_RECORD, MOST_VALUES = 2**24, 500_000


@dataclass(frozen=True)
class Attempt:
    """One process that took up a row: where, and after how many steps of those before it; finished: to the end."""

    machine: str
    process: int
    from_step: int
    finished: bool = False


@dataclass(frozen=True)
class Record:
    """What is known of a result beside the context itself. inputs: as `result_name.inputs_of` gives them; seconds: of
    all attempts together."""

    inputs: dict[str, Any] = field(default_factory=dict)
    attempts: tuple[Attempt, ...] = ()
    verdict: str = ""
    seconds: float = 0.0


class Store:
    """Contexts `NAME.safetensors` with a record `NAME.json` each, and a folder of what is not finished.

    Every file is written whole or not at all, and the context last: where it lies, its row is done.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def unfinished(self) -> Path:
        return self.folder / UNFINISHED

    def prepare(self) -> str:
        """Makes the folders, clears away what processes left that died while writing, and gives the word by which
        another machine knows that it sees the same folder. Raises OSError or ValueError in one sentence."""
        self.unfinished.mkdir(parents=True, exist_ok=True)
        for folder in (self.folder, self.unfinished):
            remove_abandoned(folder)
        with suppress(FileExistsError):
            create_new(self.folder / IDENTITY, json.dumps({"store": secrets.token_hex(16)}).encode())
        identity = self.identity()
        if identity is None:
            raise ValueError(f"{quoted(self.folder / IDENTITY)} is damaged, expected the one that a batch wrote there")
        return identity

    def identity(self) -> str | None:
        said = _read_json(self.folder / IDENTITY).get("store")
        return said if isinstance(said, str) else None

    def require(self, identity: str, machine: str) -> None:
        """Raises ValueError where this machine does not see the store that the batch writes to."""
        if self.identity() != identity:
            raise ValueError(
                sentence(
                    f"machine {quoted(machine, 40)} does not see the store {quoted(self.folder, 100)}, expected a "
                    "folder that all machines share under one path"
                )
            )

    def context(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"

    def checkpoint(self, name: str) -> Path:
        return self.unfinished / f"{name}.safetensors"

    def holds(self, name: str) -> bool:
        """Whether the result is there and whole."""
        if not self.context(name).exists():
            return False
        try:
            ReferenceContext.load(self.context(name))
        except ValueError:
            return False
        return True

    @contextmanager
    def claim(self, name: str, wait: bool) -> Iterator[bool]:
        """Whether this process alone trains the result until the end; False where another one does and `wait` is off.
        The claim of a process that died is free."""
        with file_lock(self.unfinished / f"{name}.lock", wait) as held:
            yield held

    def state(self, name: str) -> TrainingState | None:
        """Where the last attempt stopped; None where nothing sound was kept of it."""
        if not self.checkpoint(name).exists():
            return None
        try:
            return TrainingState.load(self.checkpoint(name))
        except ValueError:
            return None

    def record(self, name: str) -> Record:
        """An empty one where there is none that can be read: it decides nothing."""
        said = _read_json(self.folder / f"{name}.json")
        try:
            attempts = tuple(Attempt(**attempt) for attempt in said.get("attempts", ()))
            return Record(
                dict(said.get("inputs", {})), attempts, str(said.get("verdict", "")), float(said.get("seconds", 0.0))
            )
        except (TypeError, ValueError):
            return Record()

    def write_record(self, name: str, record: Record) -> None:
        """Raises OSError in one sentence."""
        write_atomically(self.folder / f"{name}.json", (json.dumps(asdict(record), indent=1) + "\n").encode())

    def finish(self, name: str, context: ReferenceContext, record: Record) -> None:
        """Raises OSError in one sentence; the checkpoint is then still there."""
        self.write_record(name, record)
        context.save(self.context(name))
        with suppress(OSError):
            self.checkpoint(name).unlink(missing_ok=True)


def _read_json(path: Path) -> dict[str, Any]:
    """Empty for what is no object of plain JSON; somebody else may have written it."""
    try:
        with open_regular(path, LARGEST_RECORD) as file:
            said = loads(file.read(LARGEST_RECORD + 1).decode("utf-8"), MOST_VALUES, special_numbers=True)
    except (ValueError, OSError):
        return {}
    return said if isinstance(said, dict) else {}
