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
from frontend_page import SETTINGS, FrontendPage, launch
from mask_editor import paint_mask
from photographs import FIRST, photograph, sign
from playwright.sync_api import sync_playwright

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
            frontend.photograph_graph(photograph("first_workflow"))
            sign("first_workflow")
            photograph_mask_editor(frontend)
            photograph_templates(frontend)


def open_first(frontend: FrontendPage) -> None:
    frontend.drop(FIRST.stem, FIRST.read_text(encoding="utf-8"))


def photograph_mask_editor(frontend: FrontendPage) -> None:
    """The mask painted over the character."""
    open_first(frontend)
    frontend.run("show_whole_graph.js")
    paint_mask(frontend, PICTURE_WIDTH, STROKES, BRUSH)
    take(frontend, "mask_editor")
    frontend.page.get_by_role("button", name="Cancel").first.click()


def photograph_templates(frontend: FrontendPage) -> None:
    """The template browser in the order of the names; its own is that of the file system."""
    page = frontend.page
    page.evaluate("() => window.app.extensionManager.command.execute('Comfy.BrowseTemplates')")
    page.get_by_text(PACK_FOLDER, exact=True).first.click()
    page.get_by_text("Default", exact=True).last.click()
    page.get_by_role("option", name="A → Z").click()
    page.mouse.move(0, 0)  # what it rests on is shown larger
    page.wait_for_function(
        "() => [...document.querySelectorAll('[role=dialog] img')].filter((image) => image.complete && "
        "image.naturalWidth).length >= 6"
    )
    take(frontend, "templates")


def take(frontend: FrontendPage, name: str) -> None:
    frontend.screenshot(photograph(name), type="jpeg", quality=80)
    sign(name)


if __name__ == "__main__":
    main()
