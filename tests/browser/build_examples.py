"""Makes the example workflows in the real frontend of a real ComfyUI, from the plain data in the modules *_graphs.py,
and photographs them into tests/browser/output/examples. Their thumbnails come from build_thumbnails.py.

python tests/browser/build_examples.py                      builds all
python tests/browser/build_examples.py 03_a_cut_out_character      builds these
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
from embedding_graphs import EMBEDDING_EXAMPLES
from example_graphs import EXAMPLES
from example_server import frontend_server
from family_graphs import FAMILY_EXAMPLES
from frontend_page import SETTINGS, FrontendPage, launch
from graph_parts import Example
from lora_graphs import LORA_EXAMPLES
from placing_graphs import PLACING_EXAMPLES
from playwright.sync_api import sync_playwright
from reference_graphs import REFERENCE_EXAMPLES

FOLDER = Path(__file__).parents[2] / "example_workflows"
PHOTOGRAPHS = Path(__file__).parent / "output" / "examples"
GRAPHS = (*EXAMPLES, *REFERENCE_EXAMPLES, *PLACING_EXAMPLES, *LORA_EXAMPLES, *FAMILY_EXAMPLES, *EMBEDDING_EXAMPLES)
ALL = {example.name: example for example in GRAPHS}


def main(names: list[str]) -> None:
    unknown = sorted(set(names) - ALL.keys())
    if unknown:
        sys.exit(f"no example {', '.join(unknown)}, expected some of: {', '.join(ALL)}")
    installation = find_installation()
    if installation is None:
        sys.exit(HOW_TO_GET_IT)
    with tempfile.TemporaryDirectory() as temporary:
        server = frontend_server(installation, Path(temporary), SETTINGS)
        with server, sync_playwright() as playwright, launch(playwright) as browser:
            frontend = FrontendPage(browser, server.address)
            for name in names or ALL:
                build(frontend, ALL[name])


def build(frontend: FrontendPage, example: Example) -> None:
    frontend.open_blank_workflow()
    columns = [[asdict(group) for group in column] for column in example.columns]
    # The same id each time, so that building anew changes a file only where the example changed.
    identity = str(uuid.uuid5(uuid.NAMESPACE_URL, f"anima-fast-train/{example.name}"))
    frontend.run("build_graph.js", {"id": identity, "columns": columns, "links": example.links})
    frontend.wait_for_pictures()
    frontend.run("show_whole_graph.js")  # saved with the workflow
    saved = json.loads(
        frontend.page.evaluate("async () => JSON.stringify((await window.app.graphToPrompt()).workflow)")
    )
    (FOLDER / f"{example.name}.json").write_text(
        json.dumps(saved, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    frontend.photograph_graph(PHOTOGRAPHS / f"{example.name}.jpg")


if __name__ == "__main__":
    main(sys.argv[1:])
