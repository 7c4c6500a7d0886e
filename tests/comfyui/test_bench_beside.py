"""`bench --comfyui` times both trainings in ComfyUI's own Python."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from comfyui_installation import Installation
from command_line import run_with_anima
from make_checkpoints import OTHER_VAE_FILE

BENCH = ("bench", "--comfyui", "--size", "64", "--rounds", "1")


@pytest.mark.parametrize(("precision", "kept"), [("fp32", "all"), ("bf16", "no_hidden")])
def test_both_trainings_are_timed(installation: Installation, models: Path, precision: str, kept: str) -> None:
    timed = run_with_anima(installation, models, *BENCH, "--precision", precision, "--kept", kept, "--json")
    assert timed.returncode == 0, timed.stderr
    said = json.loads(timed.stdout)
    assert said["device"] == "cpu" and said["train_lora"] > 0 and said["ours"] > 0
    asked = said["asked"]
    assert (asked["side"], asked["batch"], asked["precision"], asked["kept"]) == (64, 1, precision, kept.upper())


def test_what_fails_inside_is_said_in_one_sentence(installation: Installation, models: Path) -> None:
    ended = run_with_anima(installation, models, *BENCH, vae=OTHER_VAE_FILE)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: ComfyUI's Python ended with code 1: ValueError: the VAE is ")
    assert len(ended.stderr.splitlines()) == 1
