"""Compare Contexts draws what KSampler draws, each different picture once, and refuses before it draws."""

from __future__ import annotations

import numpy
import pytest
from comfyui_server import ComfyServer
from workflows import Workflow, node, patch, sampling, training

SIDE, STEPS = 64, 2
SCALES = ("0", "0.5", "1")
MARGIN, GAP = 16, 8


def compared(contexts: list[list], **changes: object) -> Workflow:
    inputs = {
        "prompts": "1girl, red hair",
        "negative_prompt": "low quality",
        "scales": ", ".join(SCALES),
        "width": SIDE,
        "height": SIDE,
        "seed": 7,
        "steps": STEPS,
        "cfg": 4.0,
        "sampler_name": "euler",
        "scheduler": "simple",
        **changes,
    }
    wires = {f"contexts.context_{number}": context for number, context in enumerate(contexts, start=1)}
    return {
        **training(),
        "other": training(seed=2, training_prompt="1boy")["train"],
        "compare": node(
            "AnimaFastTrainCompareContexts", model=["model", 0], clip=["clip", 0], vae=["vae", 0], **wires, **inputs
        ),
    }


def cells(sheet: numpy.ndarray, columns: int, rows: int = 1) -> list[list[numpy.ndarray]]:
    """The pictures of a grid whose prompts take one line each, from below."""
    found = []
    for row in range(rows):
        bottom = len(sheet) - MARGIN - GAP - (rows - 1 - row) * (SIDE + GAP + 24)
        lefts = [MARGIN + column * (SIDE + GAP) for column in range(columns)]
        found.append([sheet[bottom - SIDE : bottom, left : left + SIDE].astype(int) for left in lefts])
    return found


def test_cells_without_context_are_equal_and_all_others_differ(server: ComfyServer):
    finished = server.run_well(compared([["train", 0], ["other", 0]], prompts="1girl, red hair\n1boy"))
    sheet = server.picture(finished, "compare")
    for row in cells(sheet, 6, rows=2):
        assert numpy.array_equal(row[0], row[3])
        different = [row[0], row[1], row[2], row[4], row[5]]
        assert all((one != other).any() for number, one in enumerate(different) for other in different[:number])


def test_a_cell_is_what_ksampler_draws_with_patch_model(server: ComfyServer):
    sheet = server.picture(server.run_well(compared([["train", 0]])), "compare")
    for column, scale in enumerate(SCALES):
        one = {
            **training(),
            "patch": patch(["model", 0], ["train", 0], float(scale)),
            **sampling(["patch", 0], steps=STEPS),
        }
        picture = server.picture(server.run_well(one), "picture").astype(int)
        assert abs(cells(sheet, 3)[0][column] - picture).max() <= 1  # ComfyUI cuts off where the grid rounds


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scales": "0, a"}, "scales"),
        ({"scales": "4"}, "scales"),
        ({"prompts": "  \n"}, "prompts"),
        ({"vae": ["other_vae", 0]}, "VAE"),
    ],
)
def test_a_failing_input_gives_one_sentence(server: ComfyServer, changes: dict, words: str):
    workflow = compared([["train", 0]], **{key: value for key, value in changes.items() if key != "vae"})
    if "vae" in changes:
        workflow["other_vae"] = node("VAELoader", vae_name="taesd-test.safetensors")
        workflow["compare"]["inputs"]["vae"] = changes["vae"]
    finished = server.run(workflow)
    assert finished.status == "error"
    assert words in finished.error and "\n" not in finished.error
