"""What ComfyUI is told of every node alike: its drawer in the library, and as much as this ComfyUI can take."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from comfy_api.latest import io

# One drawer for the pack, and in it one for each thing that an artist does.
PACK = "AnimaFastTrain"
TRAIN = f"{PACK}/train"
MASK = f"{PACK}/mask"
REFERENCES = f"{PACK}/references"
USE = f"{PACK}/use"
LOOK = f"{PACK}/look"

# Came to ComfyUI's schema one after the other; a node works without them.
_OPTIONAL = ("search_aliases", "has_intermediate_output")


def node_schema(**said: Any) -> io.Schema:
    """The schema of a node, without what an older ComfyUI has no field for."""
    known = {field.name for field in fields(io.Schema)}
    return io.Schema(**{name: value for name, value in said.items() if name in known or name not in _OPTIONAL})
