"""Where embeddings are saved: in ComfyUI's models/embeddings, under names that a prompt can say."""

from __future__ import annotations

import os
import re
from pathlib import Path

import folder_paths

from ...masking.wording import quoted
from ...training.embeddings.trained_embedding import TrainedEmbedding, negative_path
from ...training.files.atomic_file import create_new
from ..folders.output_names import place_in, save_under

FOLDER, SUFFIX = "embeddings", ".safetensors"
WHERE = f"in models/{FOLDER}"
# A name ends in a prompt where one of these comes.
_UNSPEAKABLE = re.compile(r"[\s()\[\]<>:,]")


def check_name(name: str) -> None:
    """Raises ValueError for a name that is refused as a file, or that `embedding:name` would not find."""
    place_in(root(), WHERE, name, SUFFIX, "embedding_name")
    if found := _UNSPEAKABLE.search(name.strip()):
        raise ValueError(
            f"embedding_name is {quoted(name, 60)}, expected a name that a prompt can say: it holds {quoted(found[0])}"
        )


def save_embedding(trained: TrainedEmbedding, name: str) -> tuple[str, str]:
    """Writes name_00001_.safetensors or the next number, never over a file, and beside it the one for the negative
    prompt; what says them in a prompt, "" for none.

    Raises ValueError as `check_name`, OSError in one sentence where they cannot be written.
    """
    check_name(name)
    path = save_under(root(), WHERE, name, SUFFIX, trained.to_bytes())
    if trained.negative is None:
        return spoken(path), ""
    create_new(negative_path(path), trained.to_bytes(negative=True))
    return spoken(path), spoken(negative_path(path))


def spoken(path: Path) -> str:
    """A file of the folder in the words of a prompt."""
    return f"embedding:{os.path.relpath(path, root()).removesuffix(SUFFIX).replace(os.sep, '/')}"


def root() -> Path:
    """The first of ComfyUI's folders for embeddings."""
    return Path(os.path.abspath(folder_paths.get_folder_paths(FOLDER)[0]))
