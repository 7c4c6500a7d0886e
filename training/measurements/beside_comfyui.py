"""Times a training step beside one of ComfyUI's own Train LoRA node, on the Anima of three files, in ComfyUI's
Python."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict, dataclass, replace
from typing import Any

from ...masking.wording import printable
from ..manifests.backbones import AnimaFiles

MODULE = "nodes.bench_beside_train_lora"


@dataclass(frozen=True)
class Asked:
    """side: in pixels. steps: of each run; the first one warms up. rounds: runs of each, in turn. kept: of `Kept`.

    whole: whole runs at the default settings instead of bare steps, over their steps.
    """

    side: int = 512
    batch: int = 1
    precision: str = "fp32"
    kept: str = "ALL"
    steps: int = 6
    rounds: int = 3
    whole: bool = False


@dataclass(frozen=True)
class Beside:
    """Medians, in seconds a step."""

    asked: Asked
    device: str
    train_lora: float
    ours: float


def measure(files: AnimaFiles, asked: Asked) -> Beside:
    """Raises ValueError in one sentence where there is no ComfyUI, or where the run in it failed."""
    command = files.worker()
    command = replace(command, module=MODULE, arguments=(*command.arguments, json.dumps(asdict(asked))))
    ended = subprocess.run(command.line(), capture_output=True, text=True, encoding="utf-8", errors="replace")
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
