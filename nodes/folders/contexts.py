"""Saves contexts to, and loads them from, ComfyUI's folder models/anima_contexts."""

from __future__ import annotations

import os

import folder_paths

from ...training.trainables.context_file import ReferenceContext
from .output_names import next_numbered_file

FOLDER = "anima_contexts"
SUFFIX = ".safetensors"


def register_folder() -> None:
    """Make the folder known to ComfyUI, beside those that extra_model_paths.yaml may have named for it."""
    own = os.path.join(folder_paths.models_dir, FOLDER)
    folder_paths.add_model_folder_path(FOLDER, own)
    paths, _ = folder_paths.folder_names_and_paths[FOLDER]
    folder_paths.folder_names_and_paths[FOLDER] = (paths, {SUFFIX})


def save_as_new_file(context: ReferenceContext, prefix: str) -> str:
    """Writes prefix_00001_.safetensors or the next number into models/anima_contexts; its name there."""
    root = os.path.join(folder_paths.models_dir, FOLDER)
    path = next_numbered_file(prefix, root, SUFFIX)
    context.save(path)
    return os.path.relpath(path, root)
