"""The folder is a ComfyUI node pack and an installable package at once, and its parts keep to their layers."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
# Layers from the ground up: each may import those before it.
LAYERS = ("declared", "masking", "training", "nodes")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def sources(folder: str) -> list[Path]:
    found = sorted((ROOT / folder).rglob("*.py"))
    assert found
    return found


def imported(path: Path) -> set[str]:
    """Absolute names of all modules that a file imports, wherever in it."""
    package = ("anima_fast_train", *path.relative_to(ROOT).parent.parts)
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            names.add(".".join((*base, *((node.module or "").split(".") if node.module else ()))))
    return names


def run_python(code: str, folder: Path) -> str:
    return subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_the_package_imports_without_comfyui_from_any_folder(tmp_path: Path) -> None:
    code = "import anima_fast_train as pack, sys; assert callable(pack.comfy_entrypoint); print('torch' in sys.modules)"
    assert run_python(code, tmp_path).strip() == "False", "ComfyUI reads the package at start-up, so it must be light"
    code = (
        "import anima_fast_train.training, anima_fast_train.masking, sys; "
        "print([m for m in sys.modules if m.startswith('comfy')])"
    )
    assert run_python(code, tmp_path).strip() == "[]"


def test_pure_layers_know_neither_comfyui_nor_the_layers_above() -> None:
    for layer in ("declared", "masking", "training"):
        above = {f"anima_fast_train.{name}" for name in LAYERS[LAYERS.index(layer) + 1 :]}
        for path in sources(layer):
            for name in imported(path):
                assert not name.split(".")[0].startswith("comfy"), path
                assert not any(name == other or name.startswith(other + ".") for other in above), path


def test_training_itself_does_not_need_the_command_line() -> None:
    for path in sources("training"):
        if "command_line" not in path.parts:
            assert not any("command_line" in name for name in imported(path)), path
            assert imported(path).isdisjoint({"typer", "tqdm", "rich"}), path


def test_matplotlib_is_not_read_before_something_is_plotted() -> None:
    for layer in LAYERS:
        for path in sources(layer):
            at_once = [
                node
                for node in ast.parse(path.read_text(encoding="utf-8")).body
                if isinstance(node, ast.Import | ast.ImportFrom)
            ]
            names = {alias.name for node in at_once for alias in node.names} | {
                getattr(node, "module", None) or "" for node in at_once
            }
            assert not any(name.split(".")[0] == "matplotlib" for name in names), path


def test_all_imports_inside_are_relative() -> None:
    # ComfyUI imports the folder under its own name, whatever that is.
    for layer in LAYERS:
        for path in sources(layer):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
                assert not any(name.split(".")[0] in ("anima_fast_train", *LAYERS) for name in names), path


def test_comfyui_brings_its_own_torch(project: dict[str, Any]) -> None:
    names = {requirement.split(">")[0].split("=")[0].strip() for requirement in project["project"]["dependencies"]}
    assert {"numpy", "pillow", "safetensors"} <= names
    assert not any(name.startswith("torch") for name in names)
    assert "torch" in project["project"]["optional-dependencies"]["standalone"]


def test_comfyui_manager_installs_what_comfyui_does_not_bring(project: dict[str, Any]) -> None:
    asked = (ROOT / "requirements.txt").read_text(encoding="utf-8").split()
    assert asked == ["matplotlib", "regex"]
    assert set(asked) <= set(project["project"]["dependencies"])


def test_names_and_versions_agree(project: dict[str, Any]) -> None:
    from anima_fast_train.training.training_info import PACK_VERSION

    assert project["project"]["name"] == "anima-fast-train"
    assert project["project"]["version"] == PACK_VERSION
    assert project["tool"]["comfy"]["requires-comfyui"] == ">=0.29.0"
    assert project["tool"]["comfy"]["DisplayName"]


def test_the_console_script_is_there(project: dict[str, Any]) -> None:
    module, function = project["project"]["scripts"]["anima-fast-train"].split(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_every_package_and_every_data_file_is_installed(project: dict[str, Any]) -> None:
    setuptools = project["tool"]["setuptools"]
    packages = {path.parent for layer in LAYERS for path in sources(layer)} | {ROOT}
    listed = {ROOT.joinpath(*name.split(".")[1:]): name for name in setuptools["packages"]}
    assert listed.keys() == packages
    shipped = {
        path
        for folder, name in listed.items()
        for pattern in (*setuptools["package-data"].get(name, ()), *setuptools["package-data"].get("*", ()))
        for path in folder.glob(pattern)
    }
    for layer in LAYERS:
        for path in (ROOT / layer).rglob("*"):
            if path.is_file() and path.suffix not in (".py", ".pyc"):
                assert path in shipped, path
