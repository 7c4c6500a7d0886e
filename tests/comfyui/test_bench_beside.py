"""`bench --comfyui` times both trainings in ComfyUI's own Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from comfyui_installation import Installation
from make_checkpoints import CLIP_FILE, MODEL_FILE, VAE_FILE
from patience import MODULE, patience

COMMAND = "from anima_fast_train.training.command_line import main; main()"


def bench(installation: Installation, models: Path, *more: str) -> subprocess.CompletedProcess[str]:
    files = {"model": MODEL_FILE, "clip": CLIP_FILE, "vae": VAE_FILE}
    options = [text for name, file in files.items() for text in (f"--{name}", str(models / file))]
    return subprocess.run(
        [sys.executable, "-c", COMMAND, "bench", "--comfyui", *options, "--size", "64", "--rounds", "1", *more],
        env={**os.environ, "COMFYUI_DIR": str(installation.folder)},
        capture_output=True,
        text=True,
        timeout=patience(MODULE),
    )


@pytest.mark.parametrize(("precision", "kept"), [("fp32", "all"), ("bf16", "no_hidden")])
def test_both_trainings_are_timed(installation: Installation, models: Path, precision: str, kept: str) -> None:
    timed = bench(installation, models, "--precision", precision, "--kept", kept, "--json")
    assert timed.returncode == 0, timed.stderr
    said = json.loads(timed.stdout)
    assert said["device"] == "cpu" and said["train_lora"] > 0 and said["ours"] > 0
    assert (said["asked"]["side"], said["asked"]["batch"]) == (64, 1)


def test_what_fails_inside_is_said_in_one_sentence(installation: Installation, models: Path) -> None:
    ended = bench(installation, models, "--model", str(models / VAE_FILE))
    assert ended.returncode == 2
    assert "error: ComfyUI's Python ended with code 1: " in ended.stderr and len(ended.stderr.splitlines()) == 1
