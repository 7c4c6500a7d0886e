"""Measures how soon an artist sees that a training began, and how long nothing new is seen after that.

python tests/browser/bench_life.py [--size 256] [--steps 40]
Default settings on a random-weight Anima, in the frontend that ComfyUI brings; times are those at which its page hears
of something that it then shows: a phase, a picture or a point of the loss.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "comfyui"))

from comfyui_installation import HOW_TO_GET_IT, find_installation
from example_server import frontend_server
from frontend_page import SETTINGS, FrontendPage, launch
from graph_parts import TRAINING_LINKS, Group, example_reference, loaders, train, training_info
from played_run import TRAINING, run, wait_for_end
from playwright.sync_api import sync_playwright

NOTE = f"""() => {{
    window.seen = []
    const note = (what) => window.seen.push([performance.now() / 1000, what])
    const {{ api }} = window.app
    api.addEventListener('executing', ({{ detail }}) => {{
        if (String(detail) === String({TRAINING}.id)) note('began')
    }})
    api.addEventListener('anima_fast_train.phase', ({{ detail }}) => note(detail.phase))
    api.addEventListener('anima_fast_train.loss', ({{ detail }}) => note(`loss of step ${{detail.step}}`))
    api.addEventListener('b_preview_with_metadata', () => note('a picture'))
}}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=40)
    options = parser.parse_args()
    installation = find_installation()
    if installation is None:
        sys.exit(HOW_TO_GET_IT)
    with tempfile.TemporaryDirectory() as temporary:
        server = frontend_server(installation, Path(temporary), SETTINGS)
        with server, sync_playwright() as playwright, launch(playwright) as browser:
            frontend = FrontendPage(browser, server.address)
            build(frontend, options.size, options.steps)
            frontend.page.set_default_timeout(0)
            frontend.page.evaluate(NOTE)
            run(frontend)
            ended = wait_for_end(frontend)
            tell(ended, frontend.page.evaluate("() => window.seen"))


def build(frontend: FrontendPage, size: int, steps: int) -> None:
    frontend.open_blank_workflow()
    training = train(True, "1girl", training_image_size=size, train_steps=steps)
    columns = [[loaders()], [Group("", "", [[example_reference()]])], [Group("", "", [[training, training_info()]])]]
    links = [
        *TRAINING_LINKS,
        ("example", "image", "train", "reference_image"),
        ("example", "mask", "train", "training_mask"),
        ("train", "info", "info", "source"),
    ]
    plain = [[asdict(group) for group in column] for column in columns]
    frontend.run("build_graph.js", {"id": "life", "columns": plain, "links": links})


def tell(ended: str, seen: list[tuple[float, str]]) -> None:
    """Prints each time and what was seen, the first one after the beginning and the longest without any."""
    first = next(number for number, (_, what) in enumerate(seen) if what == "began")
    seen = seen[first:]
    began = seen[0][0]
    for at, what in seen:
        print(f"{at - began:8.2f} s  {what}")
    gaps = [(later - earlier, what) for (earlier, what), (later, _) in pairwise(seen)]
    longest, after = max(gaps)
    print(f"{ended}: first sign after {gaps[0][0]:.2f} s, longest time without one {longest:.2f} s, after {after!r}")


if __name__ == "__main__":
    main()
