"""Runs the checks of one module inside ComfyUI's Python, which has no pytest, and writes what became of each.

<ComfyUI's python> run.py <ComfyUI's folder> <models folder> <module of checks> <results file>
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import sys
import tempfile
import traceback
from pathlib import Path

PACK = Path(__file__).parents[3]
SKIPPED = "skipped: "  # begins what the tests outside then say


def main(comfyui: Path, models: Path, module_path: Path, results: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "anima_fast_train").symlink_to(PACK)
        sys.path[:0] = [str(comfyui), folder, str(module_path.parent)]
        from comfy.cli_args import args

        args.cpu = True
        args.use_pytorch_cross_attention = True
        args.base_directory = folder  # what nodes keep is not kept in the installation
        import small_models

        small_models.FOLDER = models
        module = load(module_path)
        outcomes = {
            name: outcome(check, small_models.Skipped)
            for name, check in inspect.getmembers(module, inspect.isfunction)
            if name.startswith("check_")
        }
    results.write_text(json.dumps(outcomes))


def load(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # where dataclasses look for what their annotations name
    spec.loader.exec_module(module)
    return module


def outcome(check, skipped: type[Exception]) -> str:
    """Empty where the check passed, else what went wrong, or why it was skipped."""
    try:
        check()
    except skipped as reason:
        return f"{SKIPPED}{reason}"
    except Exception:  # a check may fail in any way, and the others still run
        return traceback.format_exc()
    return ""


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
