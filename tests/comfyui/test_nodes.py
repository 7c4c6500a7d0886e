"""What ComfyUI shows of the nodes: names, sockets, tooltips, help pages; and that the recorded answer is still its
answer."""

from __future__ import annotations

import json
import urllib.request

import pytest
from comfyui_server import ComfyServer
from object_info import OWN_PREFIX, RECORDED, recordable

TRAINING_OUTPUTS = {"context": "ANIMA_REFERENCE_CONTEXT", "info": "STRING", "loss_map": "LOSS_MAP"}
NODES = {
    "AnimaFastTrainReferenceContext": ("Anima Train (no LoRA)", TRAINING_OUTPUTS),
    "AnimaFastTrainMaskedReferenceContext": ("Anima MaskTrain", TRAINING_OUTPUTS),
    "AnimaFastTrainPatchModel": ("Patch Model", {"model": "MODEL"}),
    "AnimaFastTrainOptions": ("Training Options", {"options": "ANIMA_TRAINING_OPTIONS"}),
    "AnimaFastTrainPreviewMask": (
        "Preview Training Mask",
        {"image": "IMAGE", "latent_mask": "MASK", "estimate": "STRING"},
    ),
    "AnimaFastTrainPlotTraining": ("Plot Training", {"image": "IMAGE", "csv_path": "STRING"}),
    "AnimaFastTrainCompareContexts": ("Compare Contexts", {"image": "IMAGE"}),
    "AnimaFastTrainSaveContext": ("Save Context", {}),
    "AnimaFastTrainLoadContext": ("Load Context", {"context": "ANIMA_REFERENCE_CONTEXT", "info": "STRING"}),
    "AnimaFastTrainExampleReference": ("Example Reference", {"image": "IMAGE", "mask": "MASK", "prompt": "STRING"}),
}
TRAINING_INPUTS = {
    "model",
    "clip",
    "vae",
    "reference_image",
    "training_prompt",
    "training_image_size",
    "num_tokens",
    "init_std",
    "train_steps",
    "learning_rate",
    "seed",
    "options",
}


DRAWERS = {f"AnimaFastTrain/{name}" for name in ("train", "mask", "references", "use", "look")}


@pytest.fixture(scope="module")
def own_nodes(server: ComfyServer) -> dict[str, dict]:
    return {kind: info for kind, info in server.get("/object_info").items() if kind.startswith(OWN_PREFIX)}


def inputs_of(info: dict) -> dict[str, list]:
    return {**info["input"].get("required", {}), **info["input"].get("optional", {})}


@pytest.mark.parametrize("kind", NODES)
def test_a_node_has_its_name_and_outputs(own_nodes: dict[str, dict], kind: str):
    name, outputs = NODES[kind]
    info = own_nodes[kind]
    assert info["display_name"] == name
    assert dict(zip(info["output_name"], info["output"], strict=True)) == outputs


def test_every_node_can_be_found(own_nodes: dict[str, dict]):
    lacking = [
        kind
        for kind, info in own_nodes.items()
        if info["category"] not in DRAWERS or not info["search_aliases"] or not info["description"]
    ]
    assert lacking == []


def test_every_input_and_output_has_a_tooltip(own_nodes: dict[str, dict]):
    bare = [
        f"{kind}.{name}"
        for kind, info in own_nodes.items()
        for name, entry in inputs_of(info).items()
        if not entry[1].get("tooltip")
    ]
    bare += [kind for kind, info in own_nodes.items() if info["output"] and not all(info["output_tooltips"])]
    assert bare == []


def test_the_training_nodes_differ_by_the_mask_alone(own_nodes: dict[str, dict]):
    plain, masked = (list(inputs_of(own_nodes[kind])) for kind in list(NODES)[:2])
    assert set(plain) >= TRAINING_INPUTS
    assert masked[masked.index("training_mask") - 1] == "reference_image"
    masked.remove("training_mask")
    assert masked == plain


def test_every_node_has_a_help_page_that_names_its_inputs(server: ComfyServer, own_nodes: dict[str, dict]):
    unnamed = []
    for kind, info in own_nodes.items():
        with urllib.request.urlopen(f"{server.address}/extensions/anima_fast_train/docs/{kind}.md") as answer:
            page = answer.read().decode()
        # The file list of Load Context explains itself.
        unnamed += [f"{kind}.{name}" for name in inputs_of(info) if name not in page and name != "context_name"]
    assert unnamed == []


def test_the_recorded_answer_is_the_live_one(server: ComfyServer):
    """Where this fails after a change of the nodes: `make record`."""
    assert json.loads(RECORDED.read_text()) == recordable(server)
