"""Makes the subgraph blueprint of ComfyUI's node library out of the first example workflow: its inner nodes become one.

python tests/browser/build_blueprint.py
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "example_workflows" / "01_your_character_from_one_picture.json"

NAME = "Character from a masked picture"
FILE = ROOT / "subgraphs" / f"{NAME}.json"
DESCRIPTION = (
    "Learns what a mask selects in one picture with Anima, and draws it under another prompt. Training is done once; "
    "another prompt or seed draws at once."
)
TRAIN, PATCH = "AnimaFastTrainMaskedReferenceContext", "AnimaFastTrainPatchModel"
INNER = (TRAIN, PATCH, "What to draw", "What to avoid", "EmptyLatentImage", "KSampler", "VAEDecode")
INPUT_NODE, OUTPUT_NODE = -10, -20  # as the frontend numbers the two ends of a subgraph

Node = dict[str, Any]


@dataclass(frozen=True)
class Way:
    """What comes in under a name, and the sockets or widgets inside that take it."""

    name: str
    kind: str
    to: tuple[tuple[str, str], ...]  # inner node, its input


WAYS_IN = (
    Way("picture", "IMAGE", ((TRAIN, "reference_image"),)),
    Way("mask", "MASK", ((TRAIN, "training_mask"),)),
    Way("model", "MODEL", ((TRAIN, "model"), (PATCH, "model"))),
    Way("clip", "CLIP", ((TRAIN, "clip"), ("What to draw", "clip"), ("What to avoid", "clip"))),
    Way("vae", "VAE", ((TRAIN, "vae"), ("VAEDecode", "vae"))),
    Way("training_prompt", "STRING", ((TRAIN, "training_prompt"),)),
    Way("what_to_draw", "STRING", (("What to draw", "text"),)),
    Way("train_steps", "INT", ((TRAIN, "train_steps"),)),
    Way("reference_context_scale", "FLOAT", ((PATCH, "reference_context_scale"),)),
    Way("width", "INT", (("EmptyLatentImage", "width"),)),
    Way("height", "INT", (("EmptyLatentImage", "height"),)),
    Way("seed", "INT", (("KSampler", "seed"),)),
)
OWN_PROMPT = "1girl, solo"
WIDGETS = {"STRING", "INT", "FLOAT"}
WAYS_OUT = (
    ("picture", "IMAGE", "VAEDecode", "IMAGE"),
    ("context", "ANIMA_REFERENCE_CONTEXT", TRAIN, "context"),
    ("info", "STRING", TRAIN, "info"),
)
INSIDE = (
    (TRAIN, "context", PATCH, "context"),
    (PATCH, "model", "KSampler", "model"),
    ("What to draw", "CONDITIONING", "KSampler", "positive"),
    ("What to avoid", "CONDITIONING", "KSampler", "negative"),
    ("EmptyLatentImage", "LATENT", "KSampler", "latent_image"),
    ("KSampler", "LATENT", "VAEDecode", "samples"),
)


def main() -> None:
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(blueprint(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def identity(*words: str) -> str:
    """The same id each time, so that building anew changes a file only where it changed."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(("anima-fast-train", NAME, *words))))


def inner_nodes() -> dict[str, Node]:
    """By type or title, without their links."""
    workflow = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    found: dict[str, Node] = {}
    for node in workflow["nodes"]:
        key = node.get("title") if node.get("title") in INNER else node["type"]
        if key in INNER:
            found[key] = node
    for number, key in enumerate(INNER):
        node = found[key]
        node["id"] = number + 1
        for socket in node["inputs"]:
            socket["link"] = None
        for output in node["outputs"]:
            output["links"] = []
    prompt = found[TRAIN]["widgets_values"]
    prompt[0] = OWN_PROMPT  # that of the example belongs to its drawing
    return {key: found[key] for key in INNER}


def place_of(sockets: list[dict], name: str) -> int:
    return next(place for place, socket in enumerate(sockets) if socket["name"] == name)


def blueprint() -> dict[str, Any]:
    nodes = inner_nodes()
    links: list[dict[str, Any]] = []

    def link(origin: int, slot: int, target: int, to: int, kind: str) -> int:
        links.append(
            {
                "id": len(links) + 1,
                "origin_id": origin,
                "origin_slot": slot,
                "target_id": target,
                "target_slot": to,
                "type": kind,
            }
        )
        return len(links)

    inputs, outputs = [], []
    for slot, way in enumerate(WAYS_IN):
        ids = []
        for key, name in way.to:
            if way.kind in WIDGETS:  # a widget has a socket of its own once something is wired to it
                nodes[key]["inputs"].append({"name": name, "type": way.kind, "widget": {"name": name}})
            place = place_of(nodes[key]["inputs"], name)
            ids.append(link(INPUT_NODE, slot, nodes[key]["id"], place, way.kind))
            nodes[key]["inputs"][place]["link"] = ids[-1]
        inputs.append({"id": identity("in", way.name), "name": way.name, "type": way.kind, "linkIds": ids})
    for origin, output, target, name in INSIDE:
        slot, place = place_of(nodes[origin]["outputs"], output), place_of(nodes[target]["inputs"], name)
        kind = nodes[origin]["outputs"][slot]["type"]
        made = link(nodes[origin]["id"], slot, nodes[target]["id"], place, kind)
        nodes[origin]["outputs"][slot]["links"].append(made)
        nodes[target]["inputs"][place]["link"] = made
    for slot, (name, kind, key, output) in enumerate(WAYS_OUT):
        place = place_of(nodes[key]["outputs"], output)
        made = link(nodes[key]["id"], place, OUTPUT_NODE, slot, kind)
        nodes[key]["outputs"][place]["links"].append(made)
        outputs.append({"id": identity("out", name), "name": name, "type": kind, "linkIds": [made]})
    return {
        "revision": 0,
        "last_node_id": 1,
        "last_link_id": 0,
        "nodes": [outer_node(nodes)],
        "links": [],
        "version": 0.4,
        "definitions": {"subgraphs": [definition(list(nodes.values()), links, inputs, outputs)]},
    }


def outer_node(nodes: dict[str, Node]) -> Node:
    """The one node that an artist sees."""
    sockets: list[dict[str, Any]] = []
    for way in WAYS_IN:
        socket: dict[str, Any] = {"name": way.name, "type": way.kind, "link": None}
        sockets.append({**socket, "widget": {"name": way.name}} if way.kind in WIDGETS else socket)
    shown = [[str(nodes[key]["id"]), name] for way in WAYS_IN if way.kind in WIDGETS for key, name in way.to]
    return {
        "id": 1,
        "type": identity(),
        "pos": [0, 0],
        "size": [400, 520],
        "flags": {},
        "order": 0,
        "mode": 0,
        "inputs": sockets,
        "outputs": [{"name": name, "type": kind, "links": []} for name, kind, _, _ in WAYS_OUT],
        "properties": {"proxyWidgets": [*shown, [str(nodes["KSampler"]["id"]), "control_after_generate"]]},
        "widgets_values": [],
        "title": NAME,
    }


def definition(nodes: list[Node], links: list[dict], inputs: list[dict], outputs: list[dict]) -> dict[str, Any]:
    left = min(node["pos"][0] for node in nodes) - 260
    right = max(node["pos"][0] + node["size"][0] for node in nodes) + 120
    for sockets, x in ((inputs, left + 100), (outputs, right + 20)):
        for number, socket in enumerate(sockets):
            socket["pos"] = [x, 20 + 20 * number]
    return {
        "id": identity(),
        "version": 1,
        "state": {"lastGroupId": 0, "lastNodeId": len(nodes), "lastLinkId": len(links), "lastRerouteId": 0},
        "revision": 0,
        "config": {},
        "name": NAME,
        "inputNode": {"id": INPUT_NODE, "bounding": [left, 0, 160, 40 + 20 * len(inputs)]},
        "outputNode": {"id": OUTPUT_NODE, "bounding": [right, 0, 120, 40 + 20 * len(outputs)]},
        "inputs": inputs,
        "outputs": outputs,
        "widgets": [],
        "nodes": nodes,
        "groups": [],
        "links": links,
        "extra": {"workflowRendererVersion": "LG"},
        "category": "AnimaFastTrain",
        "description": DESCRIPTION,
    }


if __name__ == "__main__":
    main()
