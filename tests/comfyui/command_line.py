"""The command line beside a ComfyUI, as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from comfyui_installation import Installation
from make_checkpoints import CLIP_FILE, MODEL_FILE, VAE_FILE
from patience import MODULE, patience

COMMAND = "from anima_fast_train.training.command_line import main; main()"


def run_with_anima(
    installation: Installation, models: Path, *arguments: str, **other: str
) -> subprocess.CompletedProcess[str]:
    """The arguments, and three files below `models`. other: a file of another name, by its option."""
    files = {"model": MODEL_FILE, "clip": CLIP_FILE, "vae": VAE_FILE, **other}
    options = [text for name, file in files.items() for text in (f"--{name}", str(models / file))]
    return subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments, *options],
        env={**os.environ, "COMFYUI_DIR": str(installation.folder)},
        capture_output=True,
        text=True,
        timeout=patience(MODULE),
    )
