"""What the result of a row is called: a digest of the bytes of its pictures, its prompt, its settings and its model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...masking.wording import quoted
from ..files.regular_file import open_regular
from ..references.image_file import LARGEST_FILE
from ..references.painted_file import painted_layers
from ..references.reference_file import ReferenceFile
from .recipe import Recipe

# Raised where the same inputs train something else than before, so that what was trained then is not taken for it.
NAMING = 1

FileDigest = Callable[[Path, str], str]


def inputs_of(recipe: Recipe, model: str, digest: FileDigest) -> dict[str, Any]:
    """All that decides what a row learns, as plain values; `digest` is `picture_digest`, or one that remembers.

    Raises ValueError in one sentence for a file that cannot be read.
    """
    references = [_reference(each, digest) for each in recipe.references().sources if isinstance(each, ReferenceFile)]
    return {"naming": NAMING, "model": model, "references": references, "settings": recipe.record()}


def name_of(inputs: dict[str, Any]) -> str:
    """64 letters of `inputs_of`, which are a file's name on every system."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def picture_digest(path: Path, noun: str) -> str:
    """Of the bytes of a file. Raises ValueError that calls it `noun`."""
    digest = hashlib.sha256()
    try:
        with open_regular(path, LARGEST_FILE) as file:
            for part in iter(lambda: file.read(2**20), b""):
                digest.update(part)
    except (ValueError, OSError) as error:
        raise ValueError(f"{noun} {quoted(path, 100)} cannot be read: {error}") from error
    return digest.hexdigest()


def _reference(file: ReferenceFile, digest: FileDigest) -> dict[str, Any]:
    """Without names of files: the same picture is the same whatever it is called."""
    pictures = {"image": file.image, "mask": file.mask, "attention_map": file.emphasis}
    found: dict[str, Any] = {
        noun: None if path is None else digest(path, noun.replace("_", " ")) for noun, path in pictures.items()
    }
    layers = painted_layers(file.image)
    if layers is not None and layers.painted.is_file():  # its colours may be taken from there
        found["painted"] = digest(layers.painted, "painted layer")
    return found | {
        "mask_source": file.mask_source,
        "caption": file.caption,
        "weight": file.weight,
        "repeats": file.repeats,
    }
