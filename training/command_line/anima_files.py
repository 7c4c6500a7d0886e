"""The three files of a real Anima on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from ..manifests.backbones import ANIMA_FILES, AnimaFiles

File = Annotated[Path | None, typer.Option(help="Of a real Anima: a .safetensors file.")]


def anima_files(option: str, asked_for: bool, files: Mapping[str, Path | None]) -> AnimaFiles | None:
    """Those that an option needs, None where it was not given. Raises ValueError where one is missing, or came without
    the option."""
    if not asked_for:
        came = [f"--{noun}" for noun in ANIMA_FILES if files[noun] is not None]
        if came:
            raise ValueError(f"{came[0]} came without {option}, which reads it")
        return None
    model, clip, vae = (files[noun] for noun in ANIMA_FILES)
    if model is None or clip is None or vae is None:
        missing = next(noun for noun in ANIMA_FILES if files[noun] is None)
        raise ValueError(f"--{missing} is missing, expected --model, --clip and --vae with {option}")
    return AnimaFiles(model, clip, vae)
