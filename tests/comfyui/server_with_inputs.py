"""A server of its own whose input folder holds what the workflows of the tests read."""

from __future__ import annotations

from pathlib import Path

import pytest
from comfyui_installation import Installation
from comfyui_server import ComfyServer
from workflows import write_inputs


def new_server(installation: Installation, models: Path, tmp_path_factory: pytest.TempPathFactory) -> ComfyServer:
    server = ComfyServer(installation, models, tmp_path_factory.mktemp("comfyui"))
    write_inputs(server.base / "input")
    return server
