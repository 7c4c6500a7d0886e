"""A folder of contexts is listed, searched, tidied and judged on the command line."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from test_context import INFO, context
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "hostile"))
from judged import cases, check_sentence
from names import OUTSIDE, SOUND, UNFIT, hostile_names

from anima_fast_train.training.command_line.application import app
from anima_fast_train.training.command_line.library_commands import rename
from anima_fast_train.training.trainables.context_file import ReferenceContext


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "library"
    context(info=replace(INFO, prompt="1girl, Red hair")).save(root / "hero.safetensors")
    context(info=replace(INFO, prompt="1boy\n\x1b[2Jblue hair")).save(root / "people" / "höhe.safetensors")
    (root / "notes.txt").write_text("not a context")
    return root


def library(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["library", *map(str, arguments)])
    if isinstance(done.exception, ValueError):
        check_sentence(str(done.exception))
        return 2, str(done.exception)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_all_contexts_of_a_folder_are_listed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, said = library(folder)
    assert code == 0
    assert said.splitlines() == [
        "hero.safetensors: 2 tokens in 3 blocks, 400 steps, '1girl, Red hair'",
        "people/höhe.safetensors: 2 tokens in 3 blocks, 400 steps, '1boy \\x1b[2Jblue hair'",
        "2 contexts, 0 damaged files",
    ]
    monkeypatch.chdir(folder)
    assert library() == (code, said) == library("list")


@pytest.mark.parametrize(
    ("words", "count"), [("red HAIR", 1), ("hair", 2), ("höhe", 1), ("people blue", 1), ("x", 0), ("", 2)]
)
def test_words_find_names_and_prompts(folder: Path, words: str, count: int) -> None:
    code, said = library(folder, "--find", words)
    assert (code, said.splitlines()[-1]) == (0, f"{count} contexts, 0 damaged files")


def test_each_damaged_file_is_named_in_one_sentence(folder: Path) -> None:
    whole = (folder / "hero.safetensors").read_bytes()
    (folder / "cut.safetensors").write_bytes(whole[:-9])
    (folder / "bit.safetensors").write_bytes(whole[:-9] + b"\x01" + whole[-8:])
    code, said = library(folder)
    damaged = [line for line in said.splitlines() if line.startswith("damaged: ")]
    assert code == 1 and len(damaged) == 2
    assert "bit.safetensors is damaged: its content does not agree with its checksum" in damaged[0]
    assert "cut.safetensors is cut short" in damaged[1]
    for line in damaged:
        check_sentence(line.removeprefix("damaged: "))
    assert said.splitlines()[-1] == "2 contexts, 2 damaged files"
    assert library(folder, "--find", "höhe")[0] == 0


def test_a_context_gets_another_name(folder: Path) -> None:
    whole = (folder / "hero.safetensors").read_bytes()
    code, said = library("rename", "hero", "new/heroine.safetensors", "--folder", folder)
    assert (code, said) == (0, "hero is now new/heroine.safetensors\n")
    assert (folder / "new" / "heroine.safetensors").read_bytes() == whole
    assert not (folder / "hero.safetensors").exists()


def test_nothing_is_replaced_and_nothing_else_is_moved(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (folder / "lora.safetensors").write_bytes(b"no context")
    for old, new, words in (
        ("hero", "people/höhe", "expected a name that is free"),
        ("hero", "notes.txt/hero", "cannot be renamed: Not a directory"),
        ("hero", "../hero", "it leaves the folder"),
        ("../library/hero", "hero2", "it leaves the folder"),
        ("nobody", "hero2", "there is no such file"),
        ("lora", "hero2", "is not a safetensors file"),
    ):
        code, said = library("rename", old, new, "--folder", folder)
        assert code == 2 and words in said, said
    assert {path: path.read_bytes() for path in before} == before


def test_names_of_strangers_stay_in_the_folder(folder: Path) -> None:
    names = hostile_names(cases(100, 240))
    refused = set()
    for number, name in enumerate(names):
        context().save(folder / f"{number}.safetensors")
        try:
            rename(str(number), name, folder)
        except ValueError as error:
            check_sentence(str(error))
            refused.add(name)
    assert refused >= {*OUTSIDE, *UNFIT}
    assert sorted(path.name for path in folder.parent.iterdir()) == ["library"]
    kept = list(folder.rglob("*.safetensors"))
    assert len(kept) == len(names) + 2
    for path in kept:
        ReferenceContext.load(path)
    of_the_same_file = {"hero", "./hero", "people\\hero"}
    assert refused & set(SOUND) == of_the_same_file


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert library(tmp_path / "none")[1].endswith("cannot be read: there is no such file")
