"""Photographs the steps that the README describes, in the real frontend of a real ComfyUI.

Run it with: python tests/browser/build_screenshots.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "comfyui"))

from comfyui_installation import HOW_TO_GET_IT, find_installation
from example_server import PACK_FOLDER, frontend_server
from frontend_page import SETTINGS, VIEWPORT, FrontendPage, launch
from mask_editor import paint_mask, save_mask
from playwright.sync_api import sync_playwright
from saved_workflow import EXAMPLE_FILES

FOLDER = Path(__file__).parents[2] / "web" / "docs" / "images"
PICTURE_WIDTH = 768  # of ComfyUI's example.png
BRUSH = 45  # pixels from the middle of the brush to its edge
# Over the character of ComfyUI's example.png, in its pixels.
STROKES = [
    [(165, 85), (330, 205), (390, 220), (460, 205), (605, 95)],
    [(205, 150), (300, 270), (290, 170), (360, 190), (430, 185), (530, 140), (480, 300)],
    [(300, 250), (390, 270), (470, 270)],
    [(215, 368), (575, 360)],
    [(380, 320), (350, 370), (305, 630), (380, 640), (385, 340), (405, 370), (452, 630)],
    [(320, 650), (260, 740)],
    [(440, 650), (440, 750)],
]


def main() -> None:
    installation = find_installation()
    if installation is None:
        sys.exit(HOW_TO_GET_IT)
    with tempfile.TemporaryDirectory() as temporary:
        server = frontend_server(installation, Path(temporary), SETTINGS)
        with server, sync_playwright() as playwright, launch(playwright) as browser:
            frontend = FrontendPage(browser, server.address)
            open_first(frontend)
            frontend.photograph_graph(FOLDER / "first_workflow.jpg")
            photograph_mask_editor(frontend)
            photograph_templates(frontend)


def open_first(frontend: FrontendPage) -> None:
    first = EXAMPLE_FILES["your_character_from_one_picture"]
    frontend.drop(first.stem, first.read_text(encoding="utf-8"))


def photograph_mask_editor(frontend: FrontendPage) -> None:
    """The mask painted over the character, and Load Image after Save."""
    page = frontend.page
    open_first(frontend)
    frontend.run("show_whole_graph.js")
    before = paint_mask(frontend, PICTURE_WIDTH, STROKES, BRUSH)
    photograph(frontend, "mask_editor")
    save_mask(frontend, before)
    frontend.run("show_whole_graph.js")
    page.mouse.move(VIEWPORT["width"] / 2, VIEWPORT["height"] - 20)  # away from the buttons and their tooltips
    photograph(frontend, "mask_painted")


def photograph_templates(frontend: FrontendPage) -> None:
    page = frontend.page
    page.evaluate("() => window.app.extensionManager.command.execute('Comfy.BrowseTemplates')")
    page.get_by_text(PACK_FOLDER, exact=True).first.click()
    page.wait_for_function(
        "() => [...document.querySelectorAll('[role=dialog] img')].filter((image) => image.complete && "
        "image.naturalWidth).length >= 6"
    )
    photograph(frontend, "templates")


def photograph(frontend: FrontendPage, name: str) -> None:
    frontend.screenshot(FOLDER / f"{name}.jpg", type="jpeg", quality=80)


if __name__ == "__main__":
    main()
