"""Turns the names that users type into places in ComfyUI's output folder, and refuses those that would leave it."""

from __future__ import annotations

from pathlib import Path

import folder_paths

from ...training.files.atomic_file import Content, remove_abandoned, save_numbered
from ...training.files.file_names import filled_in, place_inside


def place_in_output(input_name: str, name: str, what: str, folder: str = "", suffix: str = "") -> Path:
    """`name`, which may name a subfolder, with `suffix` in `folder` of ComfyUI's output folder.

    Raises ValueError where it would lie outside; `what` says what the name is expected to be the name of.
    """
    root = Path(folder_paths.get_output_directory()) / folder
    return place_inside(root, name, input_name, f"{what} in ComfyUI's output folder{folder and ' ' + folder}", suffix)


def save_in_output(filename_prefix: str, suffix: str, content: Content) -> Path:
    """Writes a new file prefix_00001_.suffix, or with the next free number, into ComfyUI's output folder; its path.

    Raises ValueError for a prefix that leaves it, OSError in one sentence where it cannot be written.
    """
    return save_under(
        Path(folder_paths.get_output_directory()), "in ComfyUI's output folder", filename_prefix, suffix, content
    )


def save_under(root: Path, where: str, filename_prefix: str, suffix: str, content: Content) -> Path:
    """The same in another folder; `where` names it to the user."""
    place = place_in(root, where, filename_prefix, suffix)
    remove_abandoned(place.parent)
    return save_numbered(place.parent, place.name.removesuffix(suffix), suffix, content)


def place_in(root: Path, where: str, name: str, suffix: str, input_name: str = "filename_prefix") -> Path:
    """Where a file of this name would lie. Raises ValueError where it would lie outside."""
    return place_inside(root, filled_in(name), input_name, f"a file {where}", suffix)
