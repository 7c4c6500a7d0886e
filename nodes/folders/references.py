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

ALLOWED = "anima_references"  # the entry of extra_model_paths.yaml; several folders stand on a line each


def allowed_folders() -> tuple[Path, ...]:
    """The input folder first."""
    named, _ = folder_paths.folder_names_and_paths.get(ALLOWED, ([], set()))
    return (Path(folder_paths.get_input_directory()), *(Path(folder) for folder in named))


def resolve_folder(folder: str) -> Path:
    """A name is looked up in the allowed folders in their order; a full path has to lie in one of them.

    Raises ValueError for a path that leads out of them, before the disk is asked for it: on Windows, asking for a
    folder of another computer already tells that computer who asks. Links that lead out are refused by
    open_reference_folder.
    """
    asked = Path(folder.strip()).expanduser()
    roots = allowed_folders()
    candidates = [Path(os.path.abspath(root / asked)) for root in roots]
    inside = [
        path
        for path in candidates
        if any(path.is_relative_to(place) for root in roots for place in (root.absolute(), root.resolve()))
    ]
    if not inside:
        raise ValueError(
            f"folder {folder!r} lies outside of the folders that may be read: "
            f"{', '.join(repr(str(root)) for root in roots)}; "
            f"expected a folder in one of them, or an entry {ALLOWED!r} for it in extra_model_paths.yaml"
        )
    return next((path for path in inside if path.is_dir()), inside[0])


def existing_folder(folder: str, input_name: str) -> Path:
    """As resolve_folder; raises ValueError that says where to make the folder when it is not there."""
    path = resolve_folder(folder)
    if not path.is_dir():
        raise ValueError(
            f"{input_name} {folder!r} is not there: make the folder {str(path)!r} and put your files into it, or name "
            "another one"
        )
    return path


def fingerprint(*folders: Path) -> str:
    """Changes whenever a file of the folders comes, goes or is written, so that ComfyUI reads them again."""
    digest = hashlib.sha256()
    for folder in folders:
        digest.update(str(folder).encode())
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            status = path.lstat()
            digest.update(f"{path.name}|{status.st_mtime_ns}|{status.st_size}\n".encode())
    return digest.hexdigest()
