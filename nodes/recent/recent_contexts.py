"""Keeps each finished context under models/anima_contexts/recent, where Load Context lists it, and finds it again by
what it was trained with."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import folder_paths

from ...training.files.atomic_file import create_new, remove_abandoned, write_atomically
from ...training.files.bounded_json import loads
from ...training.files.file_names import safe_file_name
from ...training.files.regular_file import open_regular
from ...training.reports.loss_map import history_of
from ...training.result import History
from ...training.trainables.context_file import ReferenceContext
from ...training.trainables.stored_context import SUFFIX
from ..folders.contexts import FOLDER

RECENT = "recent"
RECORDS = "runs"
LONGEST_WORDS = 60  # bytes of the prompt in a file's name
LARGEST_RECORD = 2**26
MOST_VALUES = 5_000_000
OURS = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}-\d{2}-\d{2} .*" + re.escape(SUFFIX))


@dataclass(frozen=True)
class FinishedRun:
    """What a training node hands on. name: of the context's file, as Load Context lists it; trained: when, in words.

    figures: what stays on the node, see `live.loss_line.done_message`.
    """

    context: ReferenceContext
    info: str
    loss_map: dict[str, Any]
    figures: dict[str, Any]
    kept_step: int = 0
    name: str = ""
    trained: str = ""

    @property
    def history(self) -> History:
        return history_of(self.loss_map)


class RecentContexts:
    """The `most` contexts that were trained or found last; 0 keeps none and finds none."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._folder = Path(folder_paths.models_dir, FOLDER, RECENT)

    def find(self, key: str | None) -> FinishedRun | None:
        """The run of this key, if its files are as they were written."""
        if self._most == 0 or key is None:
            return None
        try:
            with open_regular(self._record(key), LARGEST_RECORD) as file:
                record = loads(file.read().decode("utf-8"), MOST_VALUES, special_numbers=True)
            path = self._folder / Path(record["file"]).name
            if file_checksum(path) != record["checksum"]:
                return None
            found = FinishedRun(
                ReferenceContext.load(path),
                str(record["info"]),
                dict(record["loss_map"]),
                dict(record["figures"]),
                int(record["kept_step"]),
                f"{RECENT}/{path.name}",
                str(record["trained"]),
            )
            found.history.evaluations[found.kept_step]
            for used in (path, self._record(key)):
                os.utime(used)  # the oldest is the one that was not used for longest
        except (OSError, ValueError, KeyError, TypeError):  # gone, damaged or of another version: it is trained again
            return None
        said, *lines = found.info.splitlines()
        line = f"found among the recent contexts: {found.name}, trained {found.trained}; another seed trains anew"
        return replace(found, info="\n".join([said, line, *lines]))

    def kept(self, key: str | None, run: FinishedRun) -> FinishedRun:
        """The run, whose info says under which name Load Context lists it now, or why it does not."""
        if self._most == 0:
            return run
        try:
            name = self._keep(key, run)
        except (OSError, ValueError) as error:  # ValueError: tokens that no file takes
            return replace(run, info=f"{run.info}\nnote: not kept among the recent contexts: {error}")
        return replace(run, info=f"{run.info}\nkept as: {name}")

    def _keep(self, key: str | None, run: FinishedRun) -> str:
        """Its name. Raises OSError or ValueError in one sentence where it cannot be written."""
        now = time.localtime()
        prompt = " ".join(run.context.info.prompt.split())
        words = safe_file_name(prompt, LONGEST_WORDS) if prompt else "no prompt"
        content = run.context.to_bytes()
        path = self._written(f"{time.strftime('%Y-%m-%d %H-%M-%S', now)} {words}", content)
        if key is not None:
            record = {
                "file": path.name,
                "checksum": hashlib.sha256(content).hexdigest(),
                "trained": time.strftime("%Y-%m-%d %H:%M:%S", now),
                "info": run.info,
                "kept_step": run.kept_step,
                "figures": run.figures,
                "loss_map": run.loss_map,
            }
            write_atomically(self._record(key), json.dumps(record).encode())
        self._forget_oldest()
        return f"{RECENT}/{path.name}"

    def _written(self, name: str, content: bytes) -> Path:
        remove_abandoned(self._folder)
        for number in range(1, 1000):  # of several that end in one second
            path = self._folder / (name + (f" {number}" if number > 1 else "") + SUFFIX)
            try:
                create_new(path, content)
            except FileExistsError:
                continue
            return path
        raise FileExistsError(f"{name} cannot be written: a thousand of that name are there")

    def _record(self, key: str) -> Path:
        return self._folder / RECORDS / f"{key}.json"

    def _forget_oldest(self) -> None:
        """Files that were put there under other names are left alone."""
        mine = [path for path in self._folder.iterdir() if OURS.fullmatch(path.name) and path.is_file()]
        for path in sorted(mine, key=lambda path: path.stat().st_mtime_ns)[: -self._most]:
            path.unlink(missing_ok=True)
        records = [path for path in (self._folder / RECORDS).glob("*.json") if path.is_file()]
        for path in sorted(records, key=lambda path: path.stat().st_mtime_ns)[: -self._most]:
            path.unlink(missing_ok=True)


def file_checksum(path: Path) -> str:
    with open_regular(path) as file:
        return hashlib.sha256(file.read()).hexdigest()
