"""A lock that is a file: it belongs to one process, and the system lets go of it however that process ends."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)


@contextmanager
def file_lock(path: Path, wait: bool = False) -> Iterator[bool]:
    """Whether this process holds the lock until the end; False where another one does and `wait` is off.

    No lock is ever left behind by a process that died, and the file is deleted at the end. A drive that knows no locks
    gives it to everybody. Raises OSError where the file cannot be made.
    """
    lock = _locked(path, wait)
    if lock is None:
        yield False
        return
    try:
        yield True
    finally:
        if os.name == "nt":  # where an open file cannot be deleted
            os.close(lock)
        with suppress(OSError):
            path.unlink()
        if os.name != "nt":
            os.close(lock)


def _locked(path: Path, wait: bool) -> int | None:
    """An open file that this process alone has locked, or None where another has. The name may have been deleted and
    made anew between opening and locking: then what was locked is not what others will open."""
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(lock, wait)
            if os.name == "nt" or os.path.samestat(os.fstat(lock), os.stat(path)):
                return lock
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno not in _HELD:
                return lock  # a network drive that knows no locks
            if not wait:
                os.close(lock)
                return None
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)


def _lock(descriptor: int, wait: bool) -> None:
    """Raises OSError where another process holds it; on Windows, which waits for ten seconds, also with `wait`."""
    if os.name == "nt":
        import msvcrt

        mode = msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK  # type: ignore[attr-defined]
        msvcrt.locking(descriptor, mode, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
