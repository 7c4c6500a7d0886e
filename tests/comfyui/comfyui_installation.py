"""Finds the real ComfyUI that the tests run in, and the small models that they run with."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PACK = HERE.parents[1]
# The folder that holds the pack under the name it is imported by, beside ComfyUI's own modules.
PACKAGE_NAME = "anima_fast_train"
CHECKPOINTS_VERSION = 1

HOW_TO_GET_IT = (
    "no ComfyUI 0.29 or newer: git clone https://github.com/comfyanonymous/ComfyUI ~/comfy/ComfyUI, install its "
    "requirements.txt "
    "into ~/comfy/ComfyUI/.venv, or name another folder with COMFYUI_DIR"
)


@dataclass(frozen=True)
class Installation:
    """ComfyUI's folder, and a Python that has its requirements."""

    folder: Path
    python: Path

    def make_checkpoints(self) -> Path:
        """A models folder with random-weight checkpoints, made once (about a minute and 1.4 GiB) and kept between
        runs."""
        folder = Path(tempfile.gettempdir()) / f"anima-fast-train-{getpass.getuser()}-models-{CHECKPOINTS_VERSION}"
        subprocess.run(
            [self.python, HERE / "make_checkpoints.py", self.folder, folder], check=True, capture_output=True, text=True
        )
        return folder


def find_installation() -> Installation | None:
    """COMFYUI_DIR, else ~/comfy/ComfyUI; its own virtual environment's Python, else the one that runs the tests."""
    folder = Path(os.environ.get("COMFYUI_DIR") or Path.home() / "comfy" / "ComfyUI").expanduser().resolve()
    if not (folder / "main.py").is_file() or not (folder / "comfy_api" / "latest").is_dir():
        return None
    candidates = [
        folder / environment / place
        for environment in (".venv", "venv")
        for place in ("bin/python", "Scripts/python.exe")
    ]
    python = next((candidate for candidate in candidates if candidate.is_file()), Path(sys.executable))
    return Installation(folder, python)
