"""Which folders Load Reference Folder may read: ComfyUI's input folder, and those that extra_model_paths.yaml names.

A workflow from a stranger must not read whatever lies on the disk, so the user allows a folder where no workflow can:

    anywhere:
        anima_references: D:/pictures
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import folder_paths

from ...masking.wording import first_of, printable, quoted
from ...training.files.file_names import prints
from ...training.files.regular_file import reason_of

LONGEST_FOLDER = 1000  # characters
ALLOWED = "anima_references"  # the entry of extra_model_paths.yaml; several folders stand on a line each


def allowed_folders() -> tuple[Path, ...]:
    """The input folder first."""
    named, _ = folder_paths.folder_names_and_paths.get(ALLOWED, ([], set()))
    return (Path(folder_paths.get_input_directory()), *(Path(folder) for folder in named))


def resolve_folder(folder: str) -> Path:
    """A name is looked up in the allowed folders in their order; a full path has to lie in one of them.

    Raises ValueError for a path that leads out of them, before the disk is asked for it: on Windows, asking for a
    folder of another computer already tells that computer who asks. Links that lead out are refused by
    open_reference_folder. Raises ValueError too for a name that no disk takes.
    """
    roots = allowed_folders()
    try:
        os.fsencode(folder)  # a NUL, half a character and a name of a megabyte are refused here
        if len(folder) > LONGEST_FOLDER or not prints(folder):
            raise ValueError("the name is too long or holds characters that do not print")
        asked = Path(folder.strip()).expanduser()
        candidates = [Path(os.path.abspath(root / asked)) for root in roots]
        inside = [
            path
            for path in candidates
            if any(path.is_relative_to(place) for root in roots for place in (root.absolute(), root.resolve()))
        ]
        found = next((path for path in inside if path.is_dir()), None)
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: ~nobody, and links in a circle
        reason = reason_of(error) if isinstance(error, OSError) else printable(error, 100)
        raise ValueError(f"folder {quoted(folder)} cannot be found: {reason}") from error
    if not inside:
        raise ValueError(
            f"folder {quoted(folder, 40)} lies outside of the folders that may be read: "
            f"{first_of((quoted(root, 60) for root in roots), 2, 100)}; "
            f"expected a folder in one of them, or an entry {ALLOWED!r} for it in extra_model_paths.yaml"
        )
    return found or inside[0]


def existing_folder(folder: str, input_name: str) -> Path:
    """As resolve_folder; raises ValueError that says where to make the folder when it is not there."""
    path = resolve_folder(folder)
    if not path.is_dir():
        raise ValueError(
            f"{input_name} {quoted(folder, 40)} is not there: make the folder {quoted(path)} and put your files into "
            "it, or name another one"
        )
    return path


def fingerprint(*folders: Path) -> str:
    """Changes whenever a file of the folders comes, goes or is written, so that ComfyUI reads them again."""
    digest = hashlib.sha256()
    for folder in folders:
        digest.update(os.fsencode(folder))
        try:
            entries = sorted(folder.iterdir()) if folder.is_dir() else []
        except OSError:  # said when the node runs
            continue
        for path in entries:
            try:
                status = path.lstat()
            except OSError:  # gone since
                continue
            digest.update(os.fsencode(path.name) + f"|{status.st_mtime_ns}|{status.st_size}\n".encode())
    return digest.hexdigest()
