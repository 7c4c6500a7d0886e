"""Each example workflow, dropped on the canvas, opens whole."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from frontend_page import FrontendPage
from saved_workflow import EXAMPLE_FILES, EXAMPLES, NOTES, SavedWorkflow, recorded_object_info

SCREENSHOTS = Path(__file__).parent / "output"


@dataclass(frozen=True)
class Opened:
    """A workflow file and the graph that the frontend made of it."""

    file: SavedWorkflow
    nodes: dict[int, dict[str, Any]]
    links: dict[int, dict[str, Any]]
    dialogs: list[str]
    prompt: dict[str, dict]


def open_in(frontend: FrontendPage, path: Path) -> Opened:
    frontend.drop(path.stem, path.read_text(encoding="utf-8"))
    graph = frontend.read_graph()
    nodes, links = ({each["id"]: each for each in graph[kind]} for kind in ("nodes", "links"))
    return Opened(
        SavedWorkflow(path, recorded_object_info()), nodes, links, graph["dialogs"], json.loads(graph["prompt"])
    )


@pytest.fixture(scope="module", params=EXAMPLES, ids=lambda path: path.stem)
def opened(request: pytest.FixtureRequest, frontend: FrontendPage) -> Opened:
    opened = open_in(frontend, request.param)
    frontend.run("show_whole_graph.js")
    frontend.screenshot(SCREENSHOTS / frontend.served_by / f"{request.param.stem}.png")
    return opened


def missing_types(nodes: Iterable[dict[str, Any]]) -> set[str]:
    return {node["type"] for node in nodes if not node["known"] or node["has_errors"]}


def test_no_node_is_missing(opened: Opened) -> None:
    assert missing_types(opened.nodes.values()) == set()
    assert opened.dialogs == []


def test_no_link_is_red(opened: Opened) -> None:
    assert opened.links.keys() == opened.file.links.keys()
    broken = [
        link
        for link in opened.links.values()
        if not (link["origin_has_it"] and link["target_has_it"] and link["types_fit"])
    ]
    assert broken == []


def test_every_widget_shows_its_saved_value(opened: Opened) -> None:
    for id, saved in opened.file.executed_nodes.items():
        expected = opened.file.widgets(saved)
        node = opened.nodes[id]
        assert {name: node["widgets"][name] for name in expected} == expected, node["type"]
        assert {name: text for name, text in node["shown"].items() if name in expected}.items() <= expected.items(), (
            node["type"]
        )


def test_the_note_can_be_read(opened: Opened) -> None:
    (note,) = [node for node in opened.nodes.values() if node["type"] in NOTES]
    heading = opened.file.nodes[note["id"]]["widgets_values"][0].splitlines()[0].removeprefix("## ")
    assert heading in note["shown"]["text"]


def test_run_would_send_what_the_file_says(opened: Opened) -> None:
    sent = {id: {"class_type": node["class_type"], "inputs": node["inputs"]} for id, node in opened.prompt.items()}
    assert sent == opened.file.prompt()


def test_a_missing_node_would_be_noticed(frontend: FrontendPage) -> None:
    workflow = json.loads(EXAMPLES[0].read_text(encoding="utf-8"))
    workflow["nodes"][-1]["type"] = "NoSuchNode"
    frontend.drop("with_a_missing_node", json.dumps(workflow))
    assert "NoSuchNode" in missing_types(frontend.read_graph()["nodes"])


@pytest.mark.parametrize(
    "name", ["your_character_from_one_picture", "a_cut_out_character", "three_pictures_in_one_collage"]
)
def test_missing_files_are_offered_for_download(frontend_without_files: FrontendPage, name: str) -> None:
    path = EXAMPLE_FILES[name]
    frontend_without_files.drop(path.stem, path.read_text(encoding="utf-8"))
    # Marked as lacking their file, and no other node is.
    assert missing_types(frontend_without_files.read_graph()["nodes"]) == {"UNETLoader", "CLIPLoader", "VAELoader"}
    page = frontend_without_files.page
    page.get_by_text("View details").click()
    page.get_by_role("button", name="Download all").wait_for()
    frontend_without_files.screenshot(SCREENSHOTS / f"missing_files_{name}.png")
    assert page.get_by_text("Download", exact=True).count() == 3  # model, text encoder, VAE
