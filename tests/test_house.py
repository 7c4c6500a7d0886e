"""The house stays as the README draws it: arrows point one way, rooms do not go round in circles, files and functions
stay small enough to read."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("declared", "masking", "training", "nodes")
LONGEST_FILE, LONGEST_FUNCTION, MOST_PARAMETERS = 250, 50, 8
# Rooms of training that know nothing of those above: whoever reports is read by the command line, the measurements and
# the nodes, and the trainer's loop by all of them.
ABOVE_REPORTS = {"command_line", "epsilon", "manifests", "measurements", "miniature"}
ABOVE_THE_LOOP = ABOVE_REPORTS | {"reports"}

Function = ast.FunctionDef | ast.AsyncFunctionDef
SOURCES = sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """The modules of ours that a file imports, wherever in it, as dotted names below the root."""
    package = path.relative_to(ROOT).parent.parts
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = (*package[: len(package) - node.level + 1], *(node.module or "").split("."))
            module = ".".join(part for part in base if part)
            names |= {f"{module}.{alias.name}" for alias in node.names if is_module(f"{module}.{alias.name}")}
            names |= {module} if is_module(module) else set()
    return names


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def test_no_layer_imports_one_above_it() -> None:
    for path in SOURCES:
        layer = path.relative_to(ROOT).parts[0]
        above = LAYERS[LAYERS.index(layer) + 1 :]
        wrong = {name for name in imported(path) if name.split(".")[0] in above}
        assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}"


@pytest.mark.parametrize("path", [path for path in SOURCES if path.relative_to(ROOT).parts[0] == "training"], ids=str)
def test_what_runs_a_training_knows_nothing_of_who_shows_it(path: Path) -> None:
    room = path.relative_to(ROOT / "training").parts[0]
    if room in ABOVE_REPORTS or path.parent == ROOT / "training" and path.name == "__init__.py":
        return
    above = ABOVE_REPORTS if room == "reports" else ABOVE_THE_LOOP
    wrong = {name for name in imported(path) if name.split(".")[1:2] and name.split(".")[1] in above}
    assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}"


def test_no_file_is_part_of_a_circle() -> None:
    arrows: dict[str, set[str]] = {}
    for path in SOURCES:
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        package = ".".join(path.relative_to(ROOT).parent.parts)  # its first page says nothing of this file
        arrows[name] = imported(path) - {name, package}
    settled: set[str] = set()
    while free := {
        name for name, others in arrows.items() if name not in settled and others & arrows.keys() <= settled
    }:
        settled |= free
    assert settled == arrows.keys(), f"in a circle, or leading to one: {sorted(arrows.keys() - settled)}"


def test_no_file_is_longer_than_can_be_held_in_mind() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in SOURCES
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST_FILE
    }
    assert not long


def functions() -> list[tuple[str, Function]]:
    return [
        (f"{path.relative_to(ROOT)}:{node.name}", node)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, Function)
    ]


def is_declaration(name: str, node: Function) -> bool:
    """One call that lists a node's inputs, a command line's options or a function's own parameters."""
    statements = [
        each for each in node.body if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
    ]
    return node.name == "define_schema" or len(statements) == 1 and isinstance(statements[0], ast.Return)


def test_no_function_is_longer_than_a_screen_but_declarations() -> None:
    long = {
        name: node.end_lineno - node.body[0].lineno
        for name, node in functions()
        if node.end_lineno - node.body[0].lineno >= LONGEST_FUNCTION and not is_declaration(name, node)
    }
    assert not long


def test_nobody_takes_more_than_eight_parameters_but_nodes_and_commands() -> None:
    many: dict[str, int] = defaultdict(int)
    for name, node in functions():
        taken = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        count = len([argument for argument in taken if argument.arg not in ("self", "cls")])
        is_border = (
            name.startswith("nodes/")
            and node.name == "execute"
            or name.startswith("training/command_line/")
            or name == "declared/setting.py:setting"  # all that can be said of a setting, each by its name
        )
        if count > MOST_PARAMETERS and not is_border:
            many[name] = count
    assert not many


def test_no_room_is_a_drawer() -> None:
    drawers = {"utils.py", "util.py", "helpers.py", "common.py", "misc.py"}
    assert not [path for path in SOURCES if path.name in drawers]
