"""Starts a worker: run as a file by any Python, it imports the pack from where it lies, under the name that it is told.

    python boot.py PACKAGE MODULE [argument ...]

What the worker says to whoever started it leaves by the standard output; whatever else is printed goes to the error
output, since models and libraries print too.
"""

import importlib
import importlib.util
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main(package: str, module: str, arguments: list[str]) -> None:
    events = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    here = str(Path(__file__).parent)
    sys.path[:] = [folder for folder in sys.path if folder != here]  # or its files would be found under their own names
    # ComfyUI imports a pack in the same way: the folder may have any name.
    spec = importlib.util.spec_from_file_location(package, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    assert spec is not None and spec.loader is not None
    sys.modules[package] = loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    importlib.import_module(f"{package}.{module}").main(events, arguments)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
