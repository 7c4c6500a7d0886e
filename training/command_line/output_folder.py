"""The folder of a run's results: it can be written, it belongs to one run at a time, and what fails to be written there
is not lost."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ...masking.wording import printable, quoted
from ..files.atomic_file import remove_abandoned, save_numbered, written_beside
from ..files.file_lock import file_lock
from ..trainables.trainable import Trained

LOCK = ".training.lock"


def require_writable(folder: Path, names: Iterable[str] = ()) -> Path:
    """Makes the folder, or raises a ValueError that says why it cannot hold the results, files of these `names`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
            file.flush()
    except (OSError, ValueError) as error:
        reason = printable(getattr(error, "strerror", None) or error, 100)
        raise ValueError(f"output folder {quoted(folder)} cannot be written: {reason}, expected a folder") from error
    for name in names:
        if (folder / name).is_dir():
            raise ValueError(f"output folder {quoted(folder)} holds a folder {name!r}, expected to write a file there")
    return folder


@contextmanager
def held_alone(folder: Path) -> Iterator[None]:
    """The folder belongs to this process until the end; what died in it before is cleared away.

    Raises ValueError where another process holds it.
    """
    with file_lock(folder / LOCK) as held:
        if not held:
            raise ValueError(f"output folder {quoted(folder)} is used by another training, expected one of its own")
        remove_abandoned(folder, at_once=True)
        yield


@contextmanager
def reserved(folder: Path, size: int) -> Iterator[Callable[[], None]]:
    """Takes room for so many bytes until the function that it gives is called, or the end: whoever fills the disk
    meanwhile leaves that much to the results. Raises ValueError where there is no such room."""
    with ExitStack() as taken:
        try:
            # By chance, since zeros take no room on some disks.
            taken.enter_context(written_beside(folder / "results", secrets.token_bytes(size)))
        except OSError as error:
            raise ValueError(
                f"output folder {quoted(folder)} cannot be written: {printable(error.strerror or error, 60)}, expected "
                f"room for {size / 1e6:.1f} MB of results"
            ) from error
        yield taken.close


def save_somewhere(trained: Trained, path: Path) -> Path:
    """Saves what was trained at `path`, or, where that fails, under a new name in the home or the temporary folder;
    where it lies. Raises OSError where none of them takes it."""
    try:
        trained.save(path)
        return path
    except OSError as error:
        for folder in _other_places():
            try:
                return save_numbered(folder, f"anima_{trained.noun.lower()}", ".safetensors", trained.save)
            except OSError:
                continue
        raise error


def _other_places() -> list[Path]:
    places = []
    with suppress(RuntimeError):  # a user without a home
        places.append(Path.home())
    with suppress(OSError):  # no folder is fit for temporary files
        places.append(Path(tempfile.gettempdir()))
    return places
