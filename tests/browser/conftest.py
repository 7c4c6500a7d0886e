"""The real frontend in a headless Chromium, served by a real ComfyUI and by a stand-in for it. Skipped where something
is missing."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "comfyui"))

from comfyui_installation import HOW_TO_GET_IT, find_installation
from example_server import frontend_server
from frontend_page import CHROMIUM, SETTINGS, FrontendPage, launch
from recorded_server import object_info_of_fresh_installation, object_info_with_files, recorded_server


@pytest.fixture(scope="session")
def browser():
    if not CHROMIUM.is_file():
        pytest.skip(f"no browser: install Chromium as {CHROMIUM}, on Debian: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    with playwright.sync_playwright() as running, launch(running) as started:
        yield started


@pytest.fixture(scope="session")
def comfyui_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real ComfyUI with the frontend that it brings."""
    installation = find_installation()
    if installation is None:
        pytest.skip(HOW_TO_GET_IT)
    with frontend_server(installation, tmp_path_factory.mktemp("browser"), SETTINGS) as server:
        yield server.address


@pytest.fixture(scope="session")
def frontend_files() -> Path:
    """The frontend from this environment."""
    package = importlib.util.find_spec("comfyui_frontend_package")
    if package is None or not package.submodule_search_locations:
        pytest.skip("no frontend to serve: pip install comfyui-frontend-package")
    return Path(package.submodule_search_locations[0]) / "static"


@pytest.fixture(scope="session")
def recorded_address(frontend_files: Path) -> Iterator[str]:
    """Recorded answers of a ComfyUI that has all files which the examples name."""
    with recorded_server(frontend_files, object_info_with_files()) as address:
        yield address


@pytest.fixture
def frontend_without_files(frontend_files: Path, browser) -> Iterator[FrontendPage]:
    """As after a fresh installation."""
    with recorded_server(frontend_files, object_info_of_fresh_installation()) as address:
        page = FrontendPage(browser, address)
        yield page
        page.page.close()


@pytest.fixture(scope="session", params=["comfyui", "recorded"])
def frontend(request: pytest.FixtureRequest, browser) -> FrontendPage:
    """One tab for all workflows."""
    return FrontendPage(browser, request.getfixturevalue(f"{request.param}_address"), served_by=request.param)
