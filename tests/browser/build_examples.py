"""Makes the example workflows and their thumbnails in the real frontend of a real ComfyUI, from the plain data in example_graphs.py.

Run it with: python tests/browser/build_examples.py [names of examples; without any, all]
"""

from __future__ import annotations

import json
import sys
import tempfile
import uuid
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "comfyui"))

from comfyui_installation import HOW_TO_GET_IT, find_installation
from example_graphs import EXAMPLES, Example
from example_server import configure_frontend, example_server, pretend_saved_context
from frontend_page import SETTINGS, FrontendPage, launch
from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).parents[2] / "example_workflows"


def main() -> None:
    installation = find_installation()
    if installation is None:
        sys.exit(HOW_TO_GET_IT)
    with tempfile.TemporaryDirectory() as temporary:
        server = example_server(installation, installation.make_checkpoints(), Path(temporary))
        pretend_saved_context(server)
        configure_frontend(server, SETTINGS)
        with server, sync_playwright() as playwright, launch(playwright) as browser:
            frontend = FrontendPage(browser, server.address)
            for example in EXAMPLES:
                if example.name in (sys.argv[1:] or [example.name]):
                    build(frontend, example)


def build(frontend: FrontendPage, example: Example) -> None:
    frontend.open_blank_workflow()
    columns = [[asdict(group) for group in column] for column in example.columns]
    # The same id each time, so that building anew changes a file only where the example changed.
    identity = str(uuid.uuid5(uuid.NAMESPACE_URL, f"anima-fast-train/{example.name}"))
    frontend.run("build_graph.js", {"id": identity, "columns": columns, "links": example.links})
    frontend.wait_for_pictures()
    frontend.run("show_whole_graph.js")  # saved with the workflow
    saved = json.loads(frontend.page.evaluate("async () => JSON.stringify((await window.app.graphToPrompt()).workflow)"))
    (FOLDER / f"{example.name}.json").write_text(json.dumps(saved, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    frontend.photograph_graph(FOLDER / f"{example.name}.jpg")


if __name__ == "__main__":
    main()
