"""Writes files whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write `content` beside `path`, then rename: a reader, a crash or a full disk never meets half a file.

    Makes missing folders. Raises OSError in one sentence; what was at `path` before is then still there.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if not path.parent.exists():  # a file in a folder's place is named by the write itself
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(beside, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise type(error)(f"{path} cannot be written: {error.strerror or error}") from error
