"""Takes a context file or a card that was dropped on Load Context into models/anima_contexts, under a name that is
free."""

from __future__ import annotations

import filecmp
import os
import shutil
import tempfile
from pathlib import Path

import folder_paths

from ...masking.wording import quoted
from ...training.files.atomic_file import create_new, remove_abandoned, save_numbered
from ...training.files.file_names import place_inside, safe_file_name
from ...training.trainables.context_file import LARGEST_FILE
from ...training.trainables.stored_context import load_context, suffix_of
from .contexts import FOLDER

LARGEST_PICTURE = 2**26  # bytes of a card beside its context
LARGEST_UPLOAD = LARGEST_FILE + LARGEST_PICTURE


def take_context(upload: Path, name: str) -> str:
    """Its name in models/anima_contexts; that of the file there where an equal one has the name already.

    upload: where the bytes are that came. name: of the file on the artist's disk. Raises ValueError in one sentence
    where it is no whole context, OSError where it cannot be written.
    """
    load_context(upload)
    suffix = suffix_of(upload)
    if not name.strip().lower().endswith(suffix):
        raise ValueError(f"the dropped file is called {quoted(name, 60)}, expected a name that ends in {suffix} for it")
    root = Path(folder_paths.models_dir, FOLDER)
    plain = safe_file_name(name.strip()[: -len(suffix)])
    place = place_inside(root, plain, "the dropped file's name", f"a file in models/{FOLDER}", suffix)
    remove_abandoned(root)
    try:
        create_new(place, lambda beside: shutil.copyfile(upload, beside))
    except FileExistsError:
        if not place.is_file() or not filecmp.cmp(upload, place, shallow=False):
            place = save_numbered(root, plain, suffix, lambda beside: shutil.copyfile(upload, beside))
    return os.path.relpath(place, os.path.abspath(root))


class Upload:
    """Bytes on their way into a file of the system's temporary folder, deleted at the end. Use it as a context
    manager."""

    def __enter__(self) -> Upload:
        handle, name = tempfile.mkstemp(prefix="anima-upload-")
        self.path, self._file, self._size = Path(name), os.fdopen(handle, "wb"), 0
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)

    def add(self, part: bytes) -> None:
        """Raises ValueError where more comes than a context may have."""
        self._size += len(part)
        if self._size > LARGEST_UPLOAD:
            raise ValueError(f"the dropped file has more than {LARGEST_UPLOAD / 1e6:.0f} MB, which no context has")
        self._file.write(part)

    def whole(self) -> Path:
        self._file.close()
        return self.path
