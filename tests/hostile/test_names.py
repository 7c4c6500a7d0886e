"""A name that somebody typed lies inside its folder or is refused in one sentence, and no file is ever replaced."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from anima_fast_train.training.files.atomic_file import create_new, remove_abandoned, save_numbered, write_atomically
from anima_fast_train.training.files.file_names import filled_in, place_inside, safe_file_name
from anima_fast_train.training.trainables.context_file import ReferenceContext

sys.path.insert(0, str(Path(__file__).parent))
from judged import ALL, cases, refusals
from names import OUTSIDE, RESERVED, SOUND, UNFIT, hostile_names


def test_a_name_lies_inside_and_can_be_written_or_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    names = hostile_names(cases(100, 240))

    def save(name: str) -> None:
        place = place_inside(root, name, "filename_prefix", "a file", ".csv")
        assert place.is_relative_to(root) and place != root
        saved = save_numbered(place.parent, place.name.removesuffix(".csv"), ".csv", b"content")
        assert saved.read_bytes() == b"content" and saved.resolve().is_relative_to(root)

    said = refusals(save, names)
    refused = {names[number] for number in said}
    assert refused.isdisjoint(SOUND)
    assert {*OUTSIDE, *UNFIT} <= refused
    assert refused.issuperset(name for name in RESERVED if name in names)
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


def test_reserved_names_are_refused_everywhere(tmp_path: Path) -> None:
    assert len(refusals(lambda name: place_inside(tmp_path, name, "name", "a file"), list(RESERVED))) == len(RESERVED)


@pytest.mark.parametrize("name", [*OUTSIDE, *RESERVED, *UNFIT, *SOUND])
def test_names_that_files_brought_become_fit_for_files_of_ours(tmp_path: Path, name: str) -> None:
    made = safe_file_name(name)
    place = place_inside(tmp_path, f"{made}.png", "name", "a file")
    assert place.parent == tmp_path
    place.write_bytes(b"")


def test_a_link_that_the_user_made_leads_to_the_folder_they_meant(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "linked").symlink_to(tmp_path / "elsewhere")
    place = place_inside(tmp_path / "root", "linked/hero", "filename_prefix", "a file")
    save_numbered(place.parent, place.name, ".csv", b"")
    assert (tmp_path / "elsewhere" / "hero_00001_.csv").exists()


def test_dates_are_filled_in() -> None:
    filled = filled_in("%year%-%month%-%day% %hour%%minute%%second% %width%")
    assert filled.endswith(" %width%") and "%" not in filled[:17]
    assert filled[:2] == "20"


def test_nothing_is_ever_replaced(tmp_path: Path) -> None:
    (tmp_path / "a_00001_.txt").symlink_to("nowhere")
    (tmp_path / "A_00007_.txt").write_bytes(b"old")
    (tmp_path / "a_99999999999999999999_.txt").write_bytes(b"old")
    assert save_numbered(tmp_path, "a", ".txt", b"new").name == "a_00008_.txt"
    for path in ("a_00001_.txt", "A_00007_.txt"):
        with pytest.raises(FileExistsError):
            create_new(tmp_path / path, b"new")
    create_new(tmp_path / "made by a function", lambda path: path.write_bytes(b"x"))
    assert (tmp_path / "made by a function").read_bytes() == b"x"
    assert not list(tmp_path.glob(".anima*"))


def test_without_hard_links_files_are_made_anew_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    paths = [save_numbered(tmp_path, "a", ".txt", str(number).encode()) for number in range(3)]
    assert [path.read_bytes() for path in paths] == [b"0", b"1", b"2"]
    with pytest.raises(FileExistsError):
        create_new(paths[0], b"new")
    assert sorted(tmp_path.iterdir()) == paths


def test_what_a_dead_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left, alive = tmp_path / f".anima-{dead.pid}-00000000.tmp", tmp_path / f".anima-{os.getpid()}-00000000.tmp"
    other = tmp_path / ".other.tmp"
    for path in (left, alive, other):
        path.write_bytes(b"half")
    remove_abandoned(tmp_path)
    assert left.exists(), "it may be a process of another machine that shares the folder"
    os.utime(left, (0, 0))
    os.utime(alive, (0, 0))
    remove_abandoned(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([alive.name, other.name])
    write_atomically(left, b"half")
    remove_abandoned(tmp_path, at_once=True)
    assert not left.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork to run several processes at once")
def test_processes_that_save_under_one_name_lose_nothing(tmp_path: Path) -> None:
    """Contexts, each told from the others by its seed."""
    processes, each, folder = 4, cases(10, 100), tmp_path / "saved"
    code = f"""if True:
        import os, sys, torch
        from pathlib import Path
        from anima_fast_train.training.files.atomic_file import save_numbered
        from anima_fast_train.training.trainables.context_file import ReferenceContext
        from anima_fast_train.training.trainables.context_tokens import ContextTokens
        from anima_fast_train.training.training_info import TrainingInfo

        tokens, (waiting, go) = ContextTokens(torch.ones(2, 3, 4)), os.pipe()
        children = []
        for process in range({processes}):
            children.append(os.fork())
            if children[-1] == 0:
                os.close(go)
                os.read(waiting, 1)  # until the pipe is closed: all begin at once
                for number in range({each}):
                    context = ReferenceContext(tokens, None, TrainingInfo(seed={each} * process + number))
                    save_numbered(Path({str(folder)!r}), "hero", ".safetensors", context.save)
                os._exit(0)
        os.close(go)
        assert [os.waitpid(child, 0)[1] for child in children] == [0] * {processes}
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # threads do not survive a fork
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    paths = sorted(folder.iterdir())
    assert [path.name for path in paths] == [f"hero_{n:05}_.safetensors" for n in range(1, processes * each + 1)]
    assert {ReferenceContext.load(path).info.seed for path in paths} == set(range(processes * each))
    assert len(paths) == (400 if ALL else 40)
