"""Opens files that strangers may have made: a pipe, a device or a socket under a file's name must not be waited for."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from ...masking.wording import printable


def open_regular(path: str | Path, most_bytes: int | None = None) -> BinaryIO:
    """The file, opened for reading. Links are followed.

    Raises ValueError with the second half of a sentence ("it is a folder") where it is anything but a regular file,
    cannot be opened, or has not 1 to `most_bytes` bytes; with None its size is for the caller to judge.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        raise ValueError(reason_of(error)) from error
    except ValueError as error:  # a NUL or half a character
        raise ValueError("no file can have this name") from error
    _require_regular(status, most_bytes)
    try:
        # What lay there may have been swapped since: a pipe is then opened without waiting, and found out.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        file = os.fdopen(os.open(path, flags), "rb")
    except OSError as error:
        raise ValueError(reason_of(error)) from error
    try:
        _require_regular(os.fstat(file.fileno()), most_bytes)
    except BaseException:
        file.close()
        raise
    return file


def require_regular(path: str | Path, most_bytes: int) -> None:
    """Raises what `open_regular` would raise."""
    open_regular(path, most_bytes).close()


def reason_of(error: OSError) -> str:
    """Why the system refused, without the path, which the sentence around it names."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    return printable(error.strerror or error, 120)


def _require_regular(status: os.stat_result, most_bytes: int | None) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise ValueError("it is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is not a regular file")
    if most_bytes is None:
        return
    if status.st_size == 0:
        raise ValueError("the file is empty")
    if status.st_size > most_bytes:
        raise ValueError(f"it has {status.st_size / 1e6:,.1f} MB, expected at most {most_bytes / 1e6:g} MB")
