"""Runs the modules of `inside/` in ComfyUI's Python, each once, and reports every check as a test of its own."""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from comfyui_installation import Installation
from patience import MODULE, patience

INSIDE = Path(__file__).parent / "inside"
MODULES = sorted(INSIDE.glob("check_*.py"))


def checks_of(module: Path) -> list[str]:
    functions = (node for node in ast.parse(module.read_text()).body if isinstance(node, ast.FunctionDef))
    return [function.name for function in functions if function.name.startswith("check_")]


@pytest.fixture(scope="session")
def outcome(
    installation: Installation, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Path, str], str]:
    """What became of a check; its module runs when the first of its checks is asked for."""
    modules: dict[Path, dict[str, str]] = {}

    def outcome_of(module: Path, check: str) -> str:
        if module not in modules:
            modules[module] = run(module)
        return modules[module].get(check, modules[module].get("", ""))

    def run(module: Path) -> dict[str, str]:
        results = tmp_path_factory.mktemp("inside") / f"{module.stem}.json"
        command = [installation.python, INSIDE / "run.py", installation.folder, models, module, results]
        finished = subprocess.run(command, capture_output=True, text=True, timeout=patience(MODULE))
        if results.exists():
            return json.loads(results.read_text())
        return {"": f"{module.name} ended with {finished.returncode} and no result: {finished.stderr[-3000:]}"}

    return outcome_of


@pytest.mark.parametrize(
    ("module", "check"),
    [
        pytest.param(module, check, id=f"{module.stem.removeprefix('check_')}-{check.removeprefix('check_')}")
        for module in MODULES
        for check in checks_of(module)
    ],
)
def test_inside_comfyui(module: Path, check: str, outcome: Callable[[Path, str], str]):
    problem = outcome(module, check)
    if problem.startswith("skipped: "):
        pytest.skip(problem.removeprefix("skipped: "))
    assert not problem, problem
