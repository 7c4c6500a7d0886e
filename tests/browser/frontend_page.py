"""ComfyUI's frontend in a headless Chromium, used as an artist uses it: workflows are dropped on the canvas."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from patience import PAGE, patience

if TYPE_CHECKING:  # the tests are skipped where it is not installed
    from playwright.sync_api import Browser, Playwright

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # nothing leaves the machine
]
VIEWPORT = {"width": 1600, "height": 1000}

# What a user has clicked away long ago, and what would cover the canvas.
SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "Comfy.Workflow.Persist": False,
    "Comfy.Minimap.Visible": False,
    "Comfy.Graph.CanvasInfo": False,
    "Comfy.Graph.CanvasMenu": False,
    "LiteGraph.Canvas.MinFontSizeForLOD": 0,  # write text at any zoom
}

JAVASCRIPT = Path(__file__).parent
MENU_BUTTON = "button:has(> .pi-bars)"  # all that focus mode leaves


def launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)


class FrontendPage:
    """One browser tab with the frontend in it, ready to take workflows."""

    def __init__(self, browser: Browser, address: str, served_by: str = "comfyui") -> None:
        self.served_by = served_by
        self.errors: list[str] = []
        self.page = browser.new_page(viewport=VIEWPORT)
        self.page.set_default_timeout(patience(PAGE) * 1000)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(address, wait_until="domcontentloaded")
        # The default workflow loads last; what is dropped before would mix with it.
        self.page.wait_for_function(
            """() => window.app?.vueAppReady && window.app.extensionManager.workflow.activeWorkflow
                && !window.app.extensionManager.spinner && window.app.graph.nodes.length > 0"""
        )

    def run(self, script: str, argument: Any = None) -> Any:
        """The result of the function in one of the .js files beside this one."""
        return self.page.evaluate((JAVASCRIPT / script).read_text(encoding="utf-8"), argument)

    def drop(self, name: str, workflow: str) -> None:
        """Drop a workflow file on the canvas, as from a file manager; wait until it is open with all its nodes and
        pictures."""
        self.run("drop_file.js", {"name": f"{name}.json", "text": workflow})
        ids = sorted(node["id"] for node in json.loads(workflow)["nodes"])
        self.page.wait_for_function(
            """([name, ids]) => window.app.extensionManager.workflow.activeWorkflow?.filename.startsWith(name)
                && JSON.stringify(window.app.graph.nodes.map(node => Number(node.id)).sort((a, b) => a - b))
                    === JSON.stringify(ids)""",
            arg=[name, ids],
        )
        self.wait_for_pictures()

    def open_blank_workflow(self) -> None:
        self.page.evaluate("() => window.app.extensionManager.command.execute('Comfy.NewBlankWorkflow')")
        self.page.wait_for_function("() => window.app.graph.nodes.length === 0")

    def wait_for_pictures(self) -> None:
        """Until each Load Image shows its picture."""
        self.page.wait_for_function(
            "() => window.app.graph.nodes.filter(node => node.type === 'LoadImage').every(node => "
            "node.imgs?.every(image => image.complete))"
        )

    def read_graph(self) -> dict[str, Any]:
        """What the open graph consists of, and what the frontend holds against it."""
        return self.run("read_graph.js")

    def photograph_graph(self, path: Path) -> None:
        """A picture of the graph alone: no bars and menus, in a window of the graph's shape."""
        self.page.evaluate("() => { window.app.extensionManager.focusMode = true }")
        size = self.run("show_whole_graph.js")
        self.page.set_viewport_size(
            {"width": VIEWPORT["width"], "height": round(VIEWPORT["width"] * size["height"] / size["width"])}
        )
        self.run("show_whole_graph.js")
        self.screenshot(path, type="jpeg", quality=80, style=MENU_BUTTON + " { display: none }")
        self.page.set_viewport_size(VIEWPORT)
        self.page.evaluate("() => { window.app.extensionManager.focusMode = false }")

    def screenshot(self, path: Path, **options: Any) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=path, animations="disabled", **options)
