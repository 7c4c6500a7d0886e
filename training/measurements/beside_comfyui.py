"""Times a training step beside one of ComfyUI's own Train LoRA node, on the Anima of three files, in ComfyUI's
Python."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import asdict, dataclass
from typing import Any

import torch

from ...masking.wording import printable
from ..manifests.backbones import AnimaFiles

MODULE = "nodes.bench_beside_train_lora"


@dataclass(frozen=True)
class Asked:
    """side: in pixels. precision: fp32 or bf16. kept: the name of a `Kept`. rounds: runs of each, in turn. whole: whole
    runs at the default settings instead of bare steps, over their steps."""

    side: int
    batch: int
    precision: str
    kept: str
    rounds: int
    whole: bool


@dataclass(frozen=True)
class Beside:
    """Medians, in seconds a step."""

    asked: Asked
    device: str
    train_lora: float
    ours: float


def measure(files: AnimaFiles, asked: Asked, device: torch.device) -> Beside:
    """Raises ValueError in one sentence where there is no ComfyUI, or where the run in it failed."""
    command = files.worker(MODULE, json.dumps(asdict(asked))).line()
    # A torch that sees no GPU computes on the processor, and ComfyUI with it.
    unseen = {"CUDA_VISIBLE_DEVICES": ""} if device.type == "cpu" else {}
    ended = subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="replace", env={**os.environ, **unseen}
    )
    if ended.returncode:
        last = ended.stderr.strip().splitlines()[-1:]
        raise ValueError(f"ComfyUI's Python ended with code {ended.returncode}: {printable(''.join(last), 160)}")
    said: dict[str, Any] = json.loads(ended.stdout)
    return Beside(asked, **said)


def table(beside: Beside) -> str:
    """For a reader."""
    asked = beside.asked
    what = "whole runs at the default settings" if asked.whole else "bare steps without prior preservation"
    return (
        f"ComfyUI on {beside.device}, {asked.side} px, batch {asked.batch}, {asked.precision}, blocks keep "
        f"{asked.kept.lower()}, {what}\n"
        f"Train LoRA {beside.train_lora:.3f} s a step, this pack {beside.ours:.3f} s a step, ratio "
        f"{beside.ours / beside.train_lora:.2f}"
    )
