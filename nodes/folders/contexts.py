"""Saves contexts to, and loads them from, ComfyUI's folder models/anima_contexts."""

from __future__ import annotations

import os
from pathlib import Path

import folder_paths
from PIL import Image

from ...masking.wording import quoted
from ...training.files.atomic_file import Content
from ...training.trainables.context_card import SUFFIX as CARD_SUFFIX
from ...training.trainables.context_card import to_card
from ...training.trainables.context_file import ReferenceContext
from ...training.trainables.soft_tokens import to_soft_tokens
from ...training.trainables.stored_context import SUFFIX, SUFFIXES
from .output_names import save_under

FOLDER = "anima_contexts"


def register_folder() -> None:
    """Make the folder known to ComfyUI, beside those that extra_model_paths.yaml may have named for it."""
    own = os.path.join(folder_paths.models_dir, FOLDER)
    folder_paths.add_model_folder_path(FOLDER, own)
    paths, _ = folder_paths.folder_names_and_paths[FOLDER]
    folder_paths.folder_names_and_paths[FOLDER] = (paths, set(SUFFIXES))


def save_as_new_file(context: ReferenceContext, prefix: str) -> str:
    """Writes prefix_00001_.safetensors or the next number into models/anima_contexts, never over a file; its name
    there."""
    return _new_file(prefix, SUFFIX, context.save)


def save_as_new_card(context: ReferenceContext, prefix: str, picture: Image.Image) -> str:
    """The same as a PNG that shows the picture."""
    return _new_file(prefix, CARD_SUFFIX, to_card(context, picture))


def save_as_new_soft_tokens(context: ReferenceContext, prefix: str) -> str:
    """The same as a file of the project anima_lora."""
    return _new_file(prefix, SUFFIX, to_soft_tokens(context))


def _new_file(prefix: str, suffix: str, content: Content) -> str:
    root = Path(folder_paths.models_dir, FOLDER)
    path = save_under(root, f"in models/{FOLDER}", prefix, suffix, content)
    return os.path.relpath(path, os.path.abspath(root))


def context_path(context_name: str) -> Path:
    """The file of a name that Load Context lists. Raises ValueError in one sentence where there is none."""
    try:
        found = folder_paths.get_full_path(FOLDER, str(context_name))
    except (OSError, ValueError):  # a name that no disk takes
        found = None
    if found is None:
        raise ValueError(f"context_name {quoted(context_name)} is not there, expected a file in models/{FOLDER}")
    return Path(found)
