"""Writes files whole or not at all, over what was there (`write_atomically`) or never over anything (`create_new`)."""

from __future__ import annotations

import os
import re
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ...masking.wording import printable, quoted

# bytes, or what writes a whole file at the path that it gets, such as a context's save.
Content = bytes | Callable[[Path], object]

MOST_TRIES = 100_000  # numbers tried for one name
# A file is written within seconds; one that is older was left by a crash.
ABANDONED_SECONDS = 600
_OURS = re.compile(r"\.anima-(\d+)-[0-9a-f]{8}\.tmp")


def write_atomically(path: str | Path, content: Content) -> None:
    """Write `content` beside `path`, then rename: a reader, a crash or a full disk never meets half a file.

    Makes missing folders. Raises OSError in one sentence; what was at `path` before is then still there.
    """
    path = Path(path)
    with _errors_in_one_sentence(path), written_beside(path, content) as beside:
        os.replace(beside, path)


def create_new(path: str | Path, content: Content) -> None:
    """As `write_atomically`, but raises FileExistsError where anything lies at `path`, even a link that leads nowhere.

    Of several processes that create one path at once, one succeeds.
    """
    path = Path(path)
    with _errors_in_one_sentence(path), written_beside(path, content) as beside:
        _take_name(beside, path)


def move_without_replacing(source: Path, target: Path) -> None:
    """Give a file another name, in a folder that is made where it is missing. Raises FileExistsError where anything
    lies at `target`, OSError where the system refuses; killed in the middle, it has both names."""
    if not target.parent.exists():  # a file in a folder's place is named by the system itself
        target.parent.mkdir(parents=True, exist_ok=True)
    _take_name(source, target)
    source.unlink(missing_ok=True)


def save_numbered(folder: str | Path, name: str, suffix: str, content: Content) -> Path:
    """Create NAME_00001_SUFFIX in `folder`, or the same with the next number; the path that it got.

    Any number of processes may save under one name. The number after the highest is taken, so that files sort by age
    even where some were deleted. Raises OSError in one sentence.
    """
    folder = Path(folder)
    first = folder / f"{name}_{1:05}_{suffix}"
    with _errors_in_one_sentence(first), written_beside(first, content) as beside:
        highest = _highest_number(folder, name)
        for number in range(highest + 1, highest + 1 + MOST_TRIES):
            path = folder / f"{name}_{number:05}_{suffix}"
            try:
                _take_name(beside, path)
            except FileExistsError:
                continue
            return path
    raise FileExistsError(f"{quoted(first)} cannot be written: {MOST_TRIES} numbers after it are taken")


def remove_abandoned(folder: str | Path, at_once: bool = False) -> None:
    """Delete what processes that died while writing left in `folder`; at_once: also what is younger than
    ABANDONED_SECONDS, for whoever knows that nobody on another machine writes there."""
    try:
        found = [(path, match) for path in Path(folder).iterdir() if (match := _OURS.fullmatch(path.name))]
    except OSError:
        return
    for path, match in found:
        try:
            old = at_once or time.time() - path.lstat().st_mtime > ABANDONED_SECONDS
            if old and not process_runs(int(match[1])):
                path.unlink()
        except OSError:
            continue  # somebody else was faster, or may do it


def process_runs(number: int) -> bool:
    """Whether a process of this number runs on this machine; True where that cannot be known."""
    if sys.platform == "win32":  # where os.kill ends what it asks for
        import ctypes

        handle = ctypes.windll.kernel32.OpenProcess(0x1000, False, number)  # PROCESS_QUERY_LIMITED_INFORMATION
        if not handle:
            return bool(ctypes.windll.kernel32.GetLastError() == 5)  # ERROR_ACCESS_DENIED
        ctypes.windll.kernel32.CloseHandle(handle)
        return True
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def written_beside(path: Path, content: Content) -> Iterator[Path]:
    """A whole file in the folder of `path`, under a short name of its own; what is left of it at the end is deleted."""
    if not path.parent.exists():  # a file in a folder's place is named by the write itself
        path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".anima-{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        if isinstance(content, bytes):
            with open(beside, "xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        else:
            content(beside)
        yield beside
    finally:
        beside.unlink(missing_ok=True)


def _take_name(source: Path, target: Path) -> None:
    """Afterwards the file has the target's name, and maybe its own too. Raises FileExistsError where something lies at
    the target."""
    try:
        os.link(source, target)  # fails where the target exists, in one step
        return
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):
        pass  # FAT, some network drives and some phones have no hard links
    # Whoever creates the empty file owns the name and may replace it.
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        os.replace(source, target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _highest_number(folder: Path, name: str) -> int:
    """Of the files NAME_00001_ with any ending, without regard to case, as some disks have none; 0 where there is
    none."""
    numbered = re.compile(re.escape(name) + r"_(\d{1,9})_.*", re.IGNORECASE | re.DOTALL)
    found = (numbered.fullmatch(entry) for entry in os.listdir(folder))
    return max((int(match[1]) for match in found if match), default=0)


@contextmanager
def _errors_in_one_sentence(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # What a writer raised may already be such a sentence, about the file beside.
        reason = printable(error.strerror or str(error).rpartition(" cannot be written: ")[2], 120)
        raise type(error)(f"{printable(path, 150)} cannot be written: {reason}") from error
