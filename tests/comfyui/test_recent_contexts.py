"""Finished contexts are kept, found again by another server, shown by their pictures, and taken from outside."""

from __future__ import annotations

import io
import json
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import numpy
import pytest
from comfyui_installation import Installation
from comfyui_server import ComfyServer
from PIL import Image
from server_with_inputs import new_server
from workflows import (
    Workflow,
    loaders,
    masked_training_to_picture,
    node,
    patch,
    plain_picture,
    sampling,
    training,
    training_options,
)

from anima_fast_train.training.trainables.context_card import to_card
from anima_fast_train.training.trainables.context_file import ReferenceContext

CONTEXTS = "/anima_fast_train/contexts"
BYTES = "application/octet-stream"


def folder(server: ComfyServer) -> Path:
    return server.base / "models" / "anima_contexts"


def keeping(workflow: Workflow) -> Workflow:
    """The workflow with the recent contexts that artists have."""
    return {**workflow, "options": training_options(keep_recent=20)}


def kept(server: ComfyServer, seed: int) -> str:
    """Trains, or finds what was trained, and gives the name under which the context was kept."""
    info = server.run_well(keeping(training(seed=seed))).text("info")
    return re.search(r"(?:kept as: |found among the recent contexts: )(.+?\.safetensors)", info)[1]


def dropped(server: ComfyServer, name: str, content: bytes, kind: str = BYTES, **headers: str) -> tuple[int, str]:
    """The status, and the name that the file got or the sentence that refused it."""
    address = f"{server.address}{CONTEXTS}?{urllib.parse.urlencode({'name': name})}"
    named = {"Content-Type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
    try:
        with urllib.request.urlopen(urllib.request.Request(address, content, named)) as answer:
            return answer.status, json.load(answer)["name"]
    except urllib.error.HTTPError as refused:
        said = refused.read()
        return refused.code, json.loads(said)["error"] if said else ""


def load(name: str | None) -> dict:
    return {
        **loaders(),
        "load": node("AnimaFastTrainLoadContext", context_name=name),
        "info": node("PreviewAny", source=["load", 1]),
    }


def test_another_server_finds_what_one_has_trained(
    installation: Installation, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    workflow = keeping(masked_training_to_picture(seed=500))
    with new_server(installation, models, tmp_path_factory) as first:
        trained = first.run_well(workflow)
        expected = first.latent(trained, "latent")
    with new_server(installation, models, tmp_path_factory) as second:
        shutil.copytree(folder(first), folder(second))
        since = len(second.log)
        found = second.run_well(workflow)
        assert numpy.array_equal(second.latent(found, "latent"), expected)
        assert "found among the recent contexts: recent/" in found.text("info")
        assert found.text("info").splitlines()[0] == trained.text("info").splitlines()[0]
        assert "Requested to load WanVAE" not in second.log[since:].split("Requested to load Anima")[0]
        workflow["train"]["inputs"]["seed"] = 501
        assert "found among" not in second.run_well(workflow).text("info")


def test_a_kept_context_is_listed_with_its_picture(server: ComfyServer) -> None:
    name = kept(server, 510)
    assert name.startswith("recent/2") and name.endswith(" 1girl.safetensors")
    told = server.get(CONTEXTS)
    assert name in told["names"]
    [described] = [each for each in told["newest"] if each["name"] == name]
    assert described["thumbnail"] and described["words"] == "1girl, 6 steps"
    query = urllib.parse.urlencode({"name": name})
    with urllib.request.urlopen(f"{server.address}/anima_fast_train/thumbnail?{query}") as answer:
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert answer.read().startswith(b"\xff\xd8\xff")
    assert "prompt: 1girl" in server.run_well(load(name)).text("info")


@pytest.mark.parametrize("name", ["", "../extra.yaml", "nobody.safetensors", "/etc/passwd", "a\0b", "x" * 5000])
def test_only_contexts_have_pictures(server: ComfyServer, name: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{server.address}/anima_fast_train/thumbnail?{urllib.parse.urlencode({'name': name})}")
    assert refused.value.code == 404


def test_a_dropped_file_can_be_loaded_and_nothing_is_overwritten(server: ComfyServer) -> None:
    one, other = ((folder(server) / kept(server, seed)).read_bytes() for seed in (520, 521))
    assert dropped(server, "my hero.safetensors", one) == (200, "my hero.safetensors")
    assert dropped(server, "my hero.safetensors", one) == (200, "my hero.safetensors"), "the same is there already"
    status, numbered = dropped(server, "my hero.safetensors", other)
    assert (status, numbered) == (200, "my hero_00001_.safetensors")
    assert (folder(server) / "my hero.safetensors").read_bytes() == one
    assert (folder(server) / numbered).read_bytes() == other
    server.run_well(load("my hero.safetensors"))


@pytest.mark.parametrize(
    "name",
    ["../../evil.safetensors", "/etc/evil.safetensors", "C:\\evil.safetensors", "con.safetensors", ".safetensors"],
)
def test_a_dropped_name_stays_in_the_folder(server: ComfyServer, name: str) -> None:
    content = (folder(server) / kept(server, 520)).read_bytes()
    status, taken = dropped(server, name, content)
    assert status == 200 and "/" not in taken
    assert (folder(server) / taken).is_file()


def test_what_is_no_context_is_refused_in_one_sentence(server: ComfyServer) -> None:
    whole = (folder(server) / kept(server, 520)).read_bytes()
    before = sorted(path.name for path in folder(server).iterdir())
    for name, content in [
        ("picture.png", whole),
        ("short.safetensors", whole[:-10]),
        ("empty.safetensors", b""),
        ("text.safetensors", b"not a context" * 99),
        ("bit.safetensors", whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:]),
    ]:
        status, said = dropped(server, name, content)
        assert status == 400 and "\n" not in said and len(said) <= 300, said
    assert dropped(server, "a.safetensors", whole, "multipart/form-data")[0] == 415
    assert dropped(server, "a.safetensors", whole, Sec_Fetch_Site="cross-site")[0] == 403
    assert dropped(server, "a.safetensors", whole, Origin="http://example.com")[0] == 403
    assert sorted(path.name for path in folder(server).iterdir()) == before


def as_card(content: bytes, tmp_path: Path, kind: str = "PNG") -> bytes:
    """The card of a context file; saved anew as another kind of picture, the card that it was."""
    (tmp_path / "plain.safetensors").write_bytes(content)
    made = to_card(ReferenceContext.load(tmp_path / "plain.safetensors"), Image.new("RGB", (32, 24), "red"))
    if kind == "PNG":
        return made
    anew = io.BytesIO()
    Image.open(io.BytesIO(made)).save(anew, kind)
    return anew.getvalue()


def test_a_dropped_card_is_listed_by_its_picture_and_drawn_with(server: ComfyServer, tmp_path: Path) -> None:
    plain = (folder(server) / kept(server, 520)).read_bytes()
    card = as_card(plain, tmp_path)
    assert dropped(server, "my card.png", card) == (200, "my card.png")
    assert dropped(server, "my card.png", card) == (200, "my card.png"), "the same is there already"
    [described] = [each for each in server.get(CONTEXTS)["newest"] if each["name"] == "my card.png"]
    assert described["thumbnail"] and described["words"] == "1girl, 6 steps"
    assert dropped(server, "plain.safetensors", plain)[0] == 200
    latents = []
    for name in ("plain.safetensors", "my card.png"):
        workflow = {
            **plain_picture(),
            **load(name),
            "patch": patch(["model", 0], ["load", 0]),
            **sampling(["patch", 0]),
        }
        latents.append(server.latent(server.run_well(workflow), "latent"))
    assert numpy.array_equal(*latents)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF"])
def test_a_dropped_card_that_was_saved_anew_says_that_its_context_is_gone(
    server: ComfyServer, tmp_path: Path, kind: str
) -> None:
    content = as_card((folder(server) / kept(server, 520)).read_bytes(), tmp_path, kind)
    for name in (f"card.{kind.lower()}", "card.png"):
        status, said = dropped(server, name, content)
        assert status == 400 and said.startswith(f"card {name} holds no context: a card loses it when"), said


def test_an_empty_name_is_refused_in_words(
    installation: Installation, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with new_server(installation, models, tmp_path_factory) as fresh:
        said = fresh.post("/prompt", {"prompt": load("")})
        [error] = said["node_errors"]["load"]["errors"]
        assert "no context is saved yet" in error["details"], error
    assert "not in []" not in json.dumps(said)


def test_a_name_that_is_not_listed_is_refused_in_words(server: ComfyServer) -> None:
    kept(server, 520)
    [error] = server.post("/prompt", {"prompt": load("gone.safetensors")})["node_errors"]["load"]["errors"]
    assert "'gone.safetensors' is not there, expected a file in models/anima_contexts" in error["details"], error


def test_a_start_after_the_end_is_refused(server: ComfyServer) -> None:
    workflow = {
        **plain_picture(),
        **load(kept(server, 520)),
        "patch": patch(["model", 0], ["load", 0], start_percent=0.8, end_percent=0.2),
        **sampling(["patch", 0]),
    }
    assert server.run(workflow).error.startswith("start_percent is 0.8 and end_percent 0.2, expected")
