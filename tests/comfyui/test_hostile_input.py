"""While our nodes work on the worst that a stranger's workflow can hold, the server answers everybody else."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from comfyui_server import POLL, ComfyServer
from PIL import Image
from workflows import Workflow, node, training

FOLDER = {
    "masks_from": "no masks: all of each picture is learned",
    "mask_folder": "",
    "captions": "file name",
    "broken_files": "refuse the folder",
    "weight": 1.0,
    "repeats": 1,
    "word_pattern": "",
    "join": " ",
}


def loaded(folder: str, **changes: object) -> Workflow:
    return {
        "folder": node("AnimaFastTrainLoadReferenceFolder", folder=folder, **{**FOLDER, **changes}),
        "info": node("PreviewAny", source=["folder", 1]),
    }


def saved(prefix: str) -> Workflow:
    return {
        **training(train_steps=1),
        "save": node("AnimaFastTrainSaveContext", context=["train", 0], filename_prefix=prefix),
    }


WORST = {
    "pattern": lambda: loaded("hostile names", word_pattern=r"(?:.|.|.|.|.|.|.)+\x00"),
    "endless pattern": lambda: loaded("hostile names", word_pattern=r"(?p)(?:a|aa)+\x00"),
    "unrolled pattern": lambda: loaded("hostile names", word_pattern="((((a{9999}){9999}){9999}){9999})"),
    "rate": lambda: training(learning_rate="1" * 40_000 + "x"),
    "folder": lambda: loaded("~nosuchuser/\x1b[2J" + "x" * 5000),
    "picture": lambda: loaded("hostile pictures"),
    "name": lambda: saved("x/.."),
    "no name": lambda: saved(""),
}


@pytest.fixture
def hostile_folders(server: ComfyServer) -> Path:
    root = server.base / "input"
    for name in ("hostile names", "hostile pictures"):
        (root / name).mkdir(exist_ok=True)
    Image.new("RGB", (64, 64)).save(root / "hostile names" / f"{'a' * 240}.png")
    Image.new("RGB", (13_000, 13_000)).save(root / "hostile pictures" / "large.png")
    Image.new("RGB", (8192, 8192)).save(root / "hostile pictures" / "largest.png")
    return root


@pytest.mark.parametrize("name", WORST)
def test_the_server_answers_throughout(server: ComfyServer, hostile_folders: Path, name: str) -> None:
    waited: list[float] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            started = time.monotonic()
            server.get("/system_stats")
            waited.append(time.monotonic() - started)
            POLL.wait(0.05)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        finished = server.run(WORST[name]())
    finally:
        done.set()
        asking.join()
    if finished.status == "error":
        assert len(finished.error) <= 300 and finished.error.isprintable(), ascii(finished.error)
    else:
        assert name == "pattern"
    assert max(waited) < 2.0, f"the server was silent for {max(waited):.1f} s"


@pytest.mark.parametrize("prefix", ["context/", "", "x/..", "../x", "con", "a\\..\\..\\b"])
def test_no_prefix_replaces_what_was_saved(server: ComfyServer, prefix: str) -> None:
    root = server.base / "models" / "anima_contexts"
    server.run_well(saved("context"))
    before = {path: path.read_bytes() for path in root.rglob("*.safetensors")}
    finished = server.run(saved(prefix))
    assert finished.status == "error" and "filename_prefix" in finished.error
    assert {path: path.read_bytes() for path in root.rglob("*.safetensors")} == before
