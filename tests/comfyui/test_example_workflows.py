"""Every example workflow runs from the first node to the last, with small pictures and few steps."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from comfyui_installation import Installation
from comfyui_server import ComfyServer, Finished
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).parents[1]))

from example_server import example_server
from saved_workflow import EXAMPLE_FILES, SavedWorkflow, recorded_object_info

SMALL = {"training_image_size": 128, "width": 128, "height": 128, "train_steps": 2, "steps": 2}
# What shows something to the user, and under which name /history keeps it.
SHOWN = {
    "SaveImage": "images",
    "PreviewAny": "text",
    "LossGraphNode": "images",
    "AnimaFastTrainPreviewMask": "images",
    "AnimaFastTrainSaveContext": "text",
    "AnimaFastTrainPlotTraining": "images",
    "AnimaFastTrainCompareContexts": "images",
}


@pytest.fixture(scope="module")
def server_with_files(installation: Installation, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    server = example_server(installation, models, tmp_path_factory.mktemp("examples"))
    paint_mask(server.base / "input" / "example.png")
    with server:
        yield server


def paint_mask(path: Path) -> None:
    """Make the character transparent, as ComfyUI's mask editor leaves it."""
    picture = Image.open(path).convert("RGB")
    alpha = Image.new("L", picture.size, 255)
    ImageDraw.Draw(alpha).ellipse([side * part for side, part in zip(2 * picture.size, (0.2, 0.1, 0.8, 0.9), strict=True)], fill=0)
    picture.putalpha(alpha)
    picture.save(path)


def small(name: str) -> dict[str, dict[str, Any]]:
    prompt = SavedWorkflow(EXAMPLE_FILES[name], recorded_object_info()).prompt()
    for node in prompt.values():
        node["inputs"].update({key: value for key, value in SMALL.items() if key in node["inputs"]})
    return prompt


def shown(prompt: dict[str, dict], finished: Finished) -> dict[str, Any]:
    """Node type -> what the node shows, for all nodes that show something."""
    kinds = {id: node["class_type"] for id, node in prompt.items() if node["class_type"] in SHOWN}
    return {kind: finished.outputs[id][SHOWN[kind]] for id, kind in kinds.items()}


@pytest.mark.parametrize("name", EXAMPLE_FILES)
def test_it_runs_and_shows_its_results(server_with_files: ComfyServer, name: str):
    if name == "load_context":  # loads what the other saves
        server_with_files.run_well(small("save_context"))
    prompt = small(name)
    finished = server_with_files.run_well(prompt)
    results = shown(prompt, finished)
    assert results and all(results.values())
    for id, node in prompt.items():
        if node["class_type"] == "SaveImage":
            assert server_with_files.picture(finished, id).shape[:2] == (128, 128)


def test_a_forgotten_mask_is_said_in_one_sentence(server_with_files: ComfyServer):
    without_mask = "not-painted.png"
    path = server_with_files.base / "input"
    Image.open(path / "example.png").convert("RGB").save(path / without_mask)
    prompt = small("masked_training")
    for node in prompt.values():
        if node["class_type"] == "LoadImage":
            node["inputs"]["image"] = without_mask
    finished = server_with_files.run(prompt)
    assert finished.status == "error"
    assert "mask" in finished.error and "\n" not in finished.error
