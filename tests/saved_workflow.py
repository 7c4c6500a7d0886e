"""Reads workflow files as the frontend saves them, with the recorded /object_info for what the files leave out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
EXAMPLES = sorted((HERE.parent / "example_workflows").glob("*.json"))
EXAMPLE_FILES = {path.stem[3:]: path for path in EXAMPLES}  # by their names without the number before them
RECORDED = HERE / "object_info.json"

NOTES = {"MarkdownNote", "Note"}  # known to the frontend alone
FILE_SUFFIXES = {".safetensors", ".png"}
WIDGET_TYPES = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}
# Widgets that the frontend adds beside an input. They are saved, and the server never sees them.
AFTER_GENERATE = "control_after_generate"
UPLOAD = "upload"


def recorded_object_info() -> dict[str, dict]:
    return json.loads(RECORDED.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Input:
    """One input of a node type, as /object_info describes it."""

    name: str
    kind: str
    options: dict[str, Any]
    required: bool

    @property
    def is_widget(self) -> bool:
        return self.kind in WIDGET_TYPES and not self.options.get("forceInput")

    def problem_with(self, value: Any) -> str:
        """Empty where a widget may hold `value`, else what is wrong with it."""
        if self.kind == "COMBO":
            if Path(str(value)).suffix in FILE_SUFFIXES:  # the record names no files
                return ""
            return "" if value in self.options["options"] else f"{value!r} is none of {self.options['options']}"
        expected = {"INT": int, "FLOAT": (int, float), "STRING": str, "BOOLEAN": bool}[self.kind]
        if not isinstance(value, expected) or (isinstance(value, bool) and self.kind != "BOOLEAN"):
            return f"{value!r} is no {self.kind}"
        if self.kind in ("INT", "FLOAT") and not self.options["min"] <= value <= self.options["max"]:
            return f"{value} is outside of {self.options['min']} to {self.options['max']}"
        return ""


def inputs_of(definition: dict) -> list[Input]:
    """The inputs of a node type in the order in which the frontend makes them."""
    found = []
    for section in ("required", "optional"):
        for name in definition["input_order"].get(section, []):
            kind, options = (*definition["input"][section][name], {})[:2]
            if isinstance(kind, list):  # how older nodes spell a combo
                kind, options = "COMBO", {**options, "options": kind}
            found.append(Input(name, kind, options, section == "required"))
    return found


def saved_widgets(definition: dict) -> list[str]:
    """The names of the values that the frontend saves for a node of this type, in their order."""
    names = []
    for each in inputs_of(definition):
        if each.is_widget:
            names.append(each.name)
            if each.options.get(AFTER_GENERATE) or (each.kind == "INT" and each.name in ("seed", "noise_seed")):
                names.append(AFTER_GENERATE)
            if each.options.get("image_upload"):
                names.append(UPLOAD)
    return names


@dataclass(frozen=True)
class Link:
    id: int
    origin: int
    output: int
    target: int
    input: int
    type: str


class SavedWorkflow:
    """A workflow file. `object_info` has to know its node types."""

    def __init__(self, path: Path, object_info: dict[str, dict]) -> None:
        self.path, self.object_info = path, object_info
        self.content = json.loads(path.read_text(encoding="utf-8"))
        self.nodes: dict[int, dict] = {node["id"]: node for node in self.content["nodes"]}
        self.links: dict[int, Link] = {link[0]: Link(*link) for link in self.content["links"]}

    @cached_property
    def executed_nodes(self) -> dict[int, dict]:
        return {id: node for id, node in self.nodes.items() if node["type"] not in NOTES}

    def definition(self, node: dict) -> dict:
        return self.object_info[node["type"]]

    def widgets(self, node: dict) -> dict[str, Any]:
        """Name -> saved value."""
        names, values = saved_widgets(self.definition(node)), node.get("widgets_values") or []
        older = self.path.parent.name == "workflows"  # of an earlier version: inputs that came later have no value yet
        assert len(names) == len(values) or older and len(names) > len(values), (
            f"{node['type']} has widgets {names} and saved values {values}"
        )
        return dict(zip(names, values, strict=not older))

    def prompt(self) -> dict[str, dict]:
        """What the frontend posts to /prompt for this workflow."""
        return {
            str(id): {"class_type": node["type"], "inputs": self._prompt_inputs(node)}
            for id, node in self.executed_nodes.items()
        }

    def _prompt_inputs(self, node: dict) -> dict[str, Any]:
        widgets = {name: value for name, value in self.widgets(node).items() if name not in (AFTER_GENERATE, UPLOAD)}
        links = {
            socket["name"]: self.links[socket["link"]]
            for socket in node.get("inputs", [])
            if socket.get("link") is not None
        }
        return {**widgets, **{name: [str(link.origin), link.output] for name, link in links.items()}}
