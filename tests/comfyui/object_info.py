"""Keeps what ComfyUI says about the nodes that the examples use, so that examples can be checked where there is no
ComfyUI.

python tests/comfyui/object_info.py        writes tests/object_info.json anew
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from comfyui_installation import HOW_TO_GET_IT, find_installation
from comfyui_server import ComfyServer

ROOT = Path(__file__).parents[2]
RECORDED = ROOT / "tests" / "object_info.json"
OWN_PREFIX = "AnimaFastTrain"
# Options of a list that name files differ from machine to machine.
FILE_SUFFIXES = {".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin", ".gguf", ".png", ".jpg", ".jpeg", ".webp"}


def types_in_examples() -> set[str]:
    """The node types of all example workflows, subgraphs included."""
    return {
        kind
        for path in sorted((ROOT / "example_workflows").glob("*.json"))
        for kind in node_types(json.loads(path.read_text()))
    }


def node_types(workflow: dict) -> Iterator[str]:
    yield from (node["type"] for node in workflow.get("nodes", []))
    for subgraph in workflow.get("definitions", {}).get("subgraphs", []):
        yield from node_types(subgraph)


def recordable(server: ComfyServer) -> dict[str, Any]:
    """The server's answer for our nodes and those of the examples, without what belongs to one machine."""
    live = server.get("/object_info")
    wanted = types_in_examples()
    # Notes and reroutes live in the frontend alone, and are not in the answer.
    return {kind: without_files(live[kind]) for kind in sorted(live) if kind.startswith(OWN_PREFIX) or kind in wanted}


def without_files(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_files(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [
            without_files(inner)
            for inner in value
            if not (isinstance(inner, str) and Path(inner).suffix.lower() in FILE_SUFFIXES)
        ]
    return value


def main() -> None:
    installation = find_installation()
    if installation is None:
        sys.exit(HOW_TO_GET_IT)
    with (
        tempfile.TemporaryDirectory() as folder,
        ComfyServer(installation, Path(folder) / "no-models", Path(folder) / "base") as server,
    ):
        RECORDED.write_text(json.dumps(recordable(server), indent=1) + "\n")
    print(f"wrote {RECORDED}")


if __name__ == "__main__":
    main()
