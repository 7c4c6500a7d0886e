"""Tests in a real ComfyUI: its server over HTTP, and checks that run inside its Python. Skipped where there is none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from comfyui_installation import HOW_TO_GET_IT, Installation, find_installation
from comfyui_server import ComfyServer
from server_with_inputs import new_server


@pytest.fixture(scope="session")
def installation() -> Installation:
    found = find_installation()
    if found is None:
        pytest.skip(HOW_TO_GET_IT)
    return found


@pytest.fixture(scope="session")
def models(installation: Installation) -> Path:
    """The folder with the random-weight checkpoints."""
    return installation.make_checkpoints()


@pytest.fixture(scope="session")
def server(installation: Installation, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    """One server for all tests, as a user's server is one for all workflows."""
    with new_server(installation, models, tmp_path_factory) as running:
        yield running
