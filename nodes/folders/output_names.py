"""Turns the names that users type into places in ComfyUI's output folder, and refuses those that would leave it."""

from __future__ import annotations

import os
from pathlib import Path

import folder_paths


def place_in_output(input_name: str, name: str, what: str, folder: str = "", suffix: str = "") -> Path:
    """`name`, which may name a subfolder, with `suffix` in `folder` of ComfyUI's output folder.

    Judged without asking the disk, which on Windows may be that of another computer; then again with links followed.
    Raises ValueError where it would lie outside; `what` says what the name is expected to be the name of.
    """
    root = Path(os.path.abspath(Path(folder_paths.get_output_directory()) / folder))
    asked = name.strip()
    if suffix:
        asked = asked.removesuffix(suffix)
    path = Path(os.path.abspath(root / (asked + suffix)))
    if (
        not asked.strip(". ")
        or asked.endswith(("/", "\\"))
        or not path.is_relative_to(root)
        or not path.resolve().is_relative_to(root.resolve())
    ):
        raise ValueError(
            f"{input_name} is {name!r}, expected the name of {what} in ComfyUI's output folder{folder and ' ' + folder}"
        )
    return path


def new_numbered_file(filename_prefix: str, suffix: str) -> Path:
    """prefix_00001_.suffix, or the next free number, in ComfyUI's output folder. Raises ValueError for a prefix that
    leaves it."""
    place_in_output("filename_prefix", filename_prefix, "a file")
    return next_numbered_file(filename_prefix, folder_paths.get_output_directory(), suffix)


def next_numbered_file(filename_prefix: str, root: str, suffix: str) -> Path:
    """The same in another folder; ComfyUI itself refuses a prefix that leaves it."""
    folder, name, counter, _, _ = folder_paths.get_save_image_path(filename_prefix, root)
    return Path(folder) / f"{name}_{counter:05}_{suffix}"
