"""Draws the picture of the node Example Reference and its mask from drawing.svg, in a browser.

Run it with: python tests/browser/build_example_reference.py
"""

from __future__ import annotations

import io
from pathlib import Path

from frontend_page import launch
from PIL import Image
from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).parents[2] / "nodes" / "example_reference"
SIZE = {"width": 768, "height": 960}


def main() -> None:
    drawing = (FOLDER / "drawing.svg").read_text(encoding="utf-8")
    with sync_playwright() as playwright, launch(playwright) as browser:
        page = browser.new_page(viewport=SIZE)
        page.set_content(f"<style>* {{ margin: 0 }} svg {{ display: block }}</style>{drawing}")
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        page.evaluate("() => document.getElementById('background').remove()")
        cut_out = Image.open(io.BytesIO(page.screenshot(omit_background=True)))
    picture.save(FOLDER / "picture.png", optimize=True)
    cut_out.getchannel("A").save(FOLDER / "mask.png", optimize=True)


if __name__ == "__main__":
    main()
