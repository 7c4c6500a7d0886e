"""Makes every mistake in a real ComfyUI, and writes what the artist reads into docs/mistakes.md.

python tests/comfyui/mistakes_page.py
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from comfyui_installation import HOW_TO_GET_IT, find_installation
from comfyui_server import ComfyServer
from mistakes import MISTAKES, read, write_pictures
from workflows import write_inputs

PAGE = Path(__file__).parents[2] / "docs" / "mistakes.md"
HEAD = """# Mistakes, and what you read

Each of these was made in a real ComfyUI; `python tests/comfyui/mistakes_page.py` makes them again and writes this page.

| what was done | what ComfyUI says | where |
|---|---|---|
"""


def row(key: str, said: str) -> str:
    mistake = MISTAKES[key]
    return f"| {mistake.did} | {cell(said)} | {mistake.where} |"


def cell(said: str) -> str:
    return " ".join(said.replace("|", "\\|").split())


def pattern_of(text: str) -> str:
    """Without the numbers and shortened paths, which differ by the machine."""
    return re.sub(r"\d+([.,]\d+)*", "0", re.sub(r"'[^']*[…/][^']*'", "'…'", text))


def main() -> None:
    installation = find_installation()
    if installation is None:
        sys.exit(HOW_TO_GET_IT)
    with tempfile.TemporaryDirectory() as temporary:
        server = ComfyServer(installation, installation.make_checkpoints(), Path(temporary) / "comfyui")
        write_inputs(server.base / "input")
        write_pictures(server.base / "input")
        with server:
            rows = [row(key, read(server, mistake)) for key, mistake in MISTAKES.items()]
    PAGE.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
