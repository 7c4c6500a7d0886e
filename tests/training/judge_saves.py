"""Kills whoever saves into a library at random moments, and judges what lies there.

    python tests/training/judge_saves.py 100

A process saves contexts, cards and soft tokens under one name and renames some of them, as Save Context and the command
`library rename` do, until it is killed by SIGKILL; so many times. After each, every file that a list shows has to load,
and none that was told to be saved may be gone. A second argument is the seed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image

from anima_fast_train.training.command_line.library_commands import context_files
from anima_fast_train.training.files.atomic_file import move_without_replacing, save_numbered
from anima_fast_train.training.trainables.context_card import to_card
from anima_fast_train.training.trainables.context_file import ReferenceContext
from anima_fast_train.training.trainables.context_tokens import ContextTokens
from anima_fast_train.training.trainables.soft_tokens import to_soft_tokens
from anima_fast_train.training.trainables.stored_context import load_context

LONGEST_LIFE = 0.4  # seconds after the first file
SHAPE = (28, 16, 1024)  # of Anima's own contexts, whose writing takes a while


def save_on_and_on(folder: Path, told: int) -> None:
    """Tells the name of each file once it is saved, a line each."""
    context = ReferenceContext(ContextTokens(torch.randn(SHAPE)))
    contents = {".safetensors": context.save, ".png": to_card(context, Image.new("RGB", (256, 256), "red"))}
    while True:
        for suffix, content in (*contents.items(), (".safetensors", to_soft_tokens(context))):
            saved = save_numbered(folder / "people", "hero", suffix, content)
            os.write(told, f"{saved.name}\n".encode())
        renamed = folder / "renamed" / f"{time.time_ns()}.safetensors"
        move_without_replacing(saved, renamed)
        os.write(told, f"{renamed.name} {saved.name}\n".encode())


def killed(folder: Path, seconds: float) -> tuple[list[str], list[str]]:
    """The names that a process told to be saved, and those that it told to be no more, until it was killed so many
    seconds after the first."""
    reading, writing = os.pipe()
    child = os.fork()  # which has all that it needs: the moments of a start are not what is looked for
    if child == 0:
        os.close(reading)
        save_on_and_on(folder, writing)
    os.close(writing)
    with open(reading, encoding="utf-8") as told:
        first = told.readline()
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        lines = [line.split() for line in (first, *told) if line.endswith("\n")]
    assert os.waitpid(child, 0)[1] == signal.SIGKILL, "it ended by itself"
    return [line[0] for line in lines], [line[1] for line in lines if len(line) > 1]


def judge(count: int, seed: int, folder: Path) -> dict[str, object]:
    """Raises AssertionError where a file is broken or gone."""
    torch.set_num_threads(1)  # or a fork waits for threads that it does not have
    chance, cut_off, files = random.Random(f"saves {seed}"), 0, 0
    for _ in range(count):
        saved, renamed = killed(folder, chance.uniform(0, LONGEST_LIFE))
        cut_off += any(folder.rglob(".anima-*.tmp"))
        found = {path.name: path for path in context_files(folder)}
        for path in found.values():
            load_context(path)
        gone, untold = set(saved) - set(renamed) - found.keys(), found.keys() - set(saved)
        assert len(gone) <= len(untold), gone  # it may have died before it told of a new name
        files += len(found)
        for left in (*found.values(), *folder.rglob(".anima-*.tmp")):
            left.unlink()
    return {"kills": count, "of them while a file was written": cut_off, "files that were there": files}


def main() -> None:
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(judge(int(sys.argv[1]), seed, Path(folder))))


if __name__ == "__main__":
    main()
