"""A real ComfyUI in which the example workflows find every file that they name."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "comfyui"))

import make_checkpoints
from comfyui_installation import PACKAGE_NAME, Installation
from comfyui_server import ComfyServer

OFFICIAL_NAMES = {
    "diffusion_models/anima-base-v1.0.safetensors": make_checkpoints.MODEL_FILE,
    "text_encoders/qwen_3_06b_base.safetensors": make_checkpoints.CLIP_FILE,
    "vae/qwen_image_vae.safetensors": make_checkpoints.VAE_FILE,
    "checkpoints/v1-5-pruned-emaonly-fp16.safetensors": make_checkpoints.CHECKPOINT_FILE,
    # SDXL's CLIP-G has 700 million parameters; the nodes ask a model what it is, so that a small SD 1.5 stands for it.
    "checkpoints/sd_xl_base_1.0.safetensors": make_checkpoints.CHECKPOINT_FILE,
    # Nor can T5-XXL be small: Anima stands for Chroma.
    "diffusion_models/Chroma1-HD.safetensors": make_checkpoints.MODEL_FILE,
    "text_encoders/t5xxl_fp16.safetensors": make_checkpoints.CLIP_FILE,
    "vae/ae.safetensors": make_checkpoints.VAE_FILE,
}
PACK_FOLDER = "ComfyUI-AnimaFastTrain"  # as git clone names it
CONTEXTS = "anima_contexts"
# What the first run of the first example writes, and others that the examples name.
SAVED = ("my_character", "my_other_character", "my_style")
SAVED_CONTEXTS = [f"{CONTEXTS}/{name}_00001_.safetensors" for name in SAVED]


def example_server(
    installation: Installation, checkpoints: Path, folder: Path, frontend: Path | None = None
) -> ComfyServer:
    """The random-weight `checkpoints` stand under the official names; example.png is ComfyUI's own."""
    models = folder / "models"
    (models / CONTEXTS).mkdir(parents=True)
    for official, made in OFFICIAL_NAMES.items():
        (models / official).parent.mkdir(exist_ok=True)
        (models / official).symlink_to(checkpoints / made)
    server = ComfyServer(installation, models, folder / "comfyui", frontend)
    installed = server.base / "custom_nodes"
    (installed / PACKAGE_NAME).rename(installed / PACK_FOLDER)
    shutil.copy(installation.folder / "input" / "example.png", server.base / "input")
    return server


def pretend_saved_contexts(server: ComfyServer) -> None:
    """For a frontend that only lists them: the context files that the examples name."""
    for name in SAVED_CONTEXTS:
        (server.base / "models" / name).touch()


def frontend_server(installation: Installation, folder: Path, settings: dict[str, Any]) -> ComfyServer:
    """For a browser: the examples find their files, and the frontend has these settings."""
    server = example_server(installation, installation.make_checkpoints(), folder)
    pretend_saved_contexts(server)
    configure_frontend(server, settings)
    return server


def configure_frontend(server: ComfyServer, settings: dict[str, Any]) -> None:
    user = server.base / "user" / "default"
    user.mkdir(parents=True)
    (user / "comfy.settings.json").write_text(json.dumps(settings))
