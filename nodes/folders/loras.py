"""Saves LoRAs to, and finds them in, ComfyUI's folder models/loras, where Load LoRA lists them."""

from __future__ import annotations

import os
from pathlib import Path

import folder_paths

from ...masking.wording import quoted
from ...training.adapters.trained_lora import TrainedLora
from .output_names import save_under

FOLDER, SUFFIX = "loras", ".safetensors"


def save_as_new_lora(lora: TrainedLora, prefix: str) -> str:
    """Writes prefix_00001_.safetensors or the next number into the first of the folders for LoRAs, never over a file;
    its name as Load LoRA lists it."""
    root = Path(folder_paths.get_folder_paths(FOLDER)[0])
    path = save_under(root, f"in models/{FOLDER}", prefix, SUFFIX, lora.save)
    return os.path.relpath(path, os.path.abspath(root))


def lora_names() -> list[str]:
    """As Load LoRA lists them."""
    return list(folder_paths.get_filename_list(FOLDER))


def lora_path(name: str) -> Path:
    """The file of a name that Load LoRA lists. Raises ValueError in one sentence where there is none."""
    try:
        found = folder_paths.get_full_path(FOLDER, name)
    except (OSError, ValueError):  # a name that no disk takes
        found = None
    if found is None:
        raise ValueError(f"start_lora {quoted(name)} is not there, expected a file in models/{FOLDER}")
    return Path(found)
