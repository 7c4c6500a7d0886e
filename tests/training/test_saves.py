"""A library holds whole files alone, whenever whoever saves into it is killed.

The large run is a command: see judge_saves.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import judge_saves

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def test_killed_at_random_moments_no_file_is_broken_or_gone(tmp_path: Path) -> None:
    assert judge_saves.judge(3, 0, tmp_path)["kills"] == 3


def test_the_judge_finds_a_broken_file(tmp_path: Path) -> None:
    (tmp_path / "broken.safetensors").write_bytes(b"half")
    with pytest.raises(ValueError, match="broken"):
        judge_saves.judge(1, 0, tmp_path)
