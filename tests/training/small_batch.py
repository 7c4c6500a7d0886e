"""Manifests of trainings that take a second, and the command that runs them in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from anima_fast_train.training.manifests.store import Record, Store
from anima_fast_train.training.miniature.scene import draw_reference

STEPS = 12
HEADINGS = "image,mask,prompt,steps,num_tokens,size,batch_size,cut_paste,learning_rate,evaluations,noise_pool,seed"
SETTINGS = f"{STEPS},2,32,1,0,0.1,2,4"
COMMAND = "from anima_fast_train.training.command_line import main; main()"


def write_manifest(folder: Path, rows: int, *more: str) -> Path:
    """So many rows, each of a drawn character of its own, and further lines after them."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [HEADINGS]
    for number in range(rows):
        drawn = draw_reference(number)
        drawn.picture.resize((32, 32)).save(folder / f"p{number}.png")
        drawn.mask.resize((32, 32)).save(folder / f"m{number}.png")
        lines.append(f'p{number}.png,m{number}.png,"1girl, smile",{SETTINGS},{number}')
    path = folder / "manifest.csv"
    path.write_text("\n".join([*lines, *more]) + "\n", encoding="utf-8")
    return path


def start(manifest: Path, output: Path, *options: str) -> subprocess.Popen[str]:
    """The command in a process of its own, each worker on one thread."""
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, "batch", str(manifest), "--output", str(output), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
    )


def contexts(store: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.glob("*.safetensors")}


def records(store: Path) -> dict[str, Record]:
    """By name, of the results that are there."""
    return {path.stem: Store(store).record(path.stem) for path in store.glob("*.safetensors")}


def require_trained_once(store: Path, rows: int) -> None:
    """Raises AssertionError unless each result is there, was trained to its end by one attempt alone, and nothing
    unfinished is left."""
    kept = records(store)
    assert len(kept) == rows
    for name, record in kept.items():
        finished = [attempt for attempt in record.attempts if attempt.finished]
        assert len(finished) == 1 and record.attempts[-1] == finished[0], (name, record.attempts)
        assert record.verdict and record.seconds > 0
    assert not list((store / "unfinished").iterdir())
