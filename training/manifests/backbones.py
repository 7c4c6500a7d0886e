"""The models that a batch can train with: what of them decides a result, and how their workers are started."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from ...masking.wording import quoted
from ..files.fingerprint import CannotTell, file_digest
from ..miniature.backbone import WEIGHTS
from ..miniature.scene import SIDE
from .plan import Model
from .worker_process import WorkerCommand

ANIMA_FILES = ("model", "clip", "vae")
COMFYUI = "COMFYUI_DIR"
# Where ComfyUI's own Python lies in its folder, or beside it in the portable build for Windows.
PYTHONS = (
    ".venv/bin/python",
    "venv/bin/python",
    ".venv/Scripts/python.exe",
    "venv/Scripts/python.exe",
    "../python_embeded/python.exe",
)


@dataclass(frozen=True)
class AnimaFiles:
    """Those of the real model, each a .safetensors file."""

    model: Path
    clip: Path
    vae: Path

    def described(self) -> Model:
        """Raises ValueError that names a file that cannot be read."""
        digests = []
        for noun in ANIMA_FILES:
            path = getattr(self, noun)
            try:
                digests.append(file_digest(path))
            except CannotTell as error:
                raise ValueError(f"--{noun} {quoted(path)} cannot be read, expected a .safetensors file") from error
        return Model(f"anima {' '.join(digests)}", inside_comfyui=True)

    def worker(self, module: str = "nodes.batch_worker", *more: str) -> WorkerCommand:
        """Runs a module of the pack in ComfyUI's own Python, which is told ComfyUI's folder, the files and what is
        given more. Raises ValueError where there is no ComfyUI."""
        folder = comfyui_folder()
        python = next((path for name in PYTHONS if (path := folder / name).is_file()), Path(sys.executable))
        files = (str(getattr(self, noun).absolute()) for noun in ANIMA_FILES)
        return WorkerCommand(module, (str(folder), *files, *more), str(python), "nodes/start_worker.py")


def miniature() -> Model:
    return Model(f"miniature {file_digest(WEIGHTS)}", defaults={"training_image_size": SIDE})


def miniature_worker() -> WorkerCommand:
    return WorkerCommand("training.manifests.miniature_worker")


def comfyui_folder() -> Path:
    """Raises ValueError where COMFYUI_DIR does not name one."""
    named = os.environ.get(COMFYUI, "")
    folder = Path(named).expanduser().absolute()
    if not named or not (folder / "comfy" / "sd.py").is_file():
        raise ValueError(f"{COMFYUI} is {quoted(named)}, expected ComfyUI's folder, whose modules train Anima")
    return folder
