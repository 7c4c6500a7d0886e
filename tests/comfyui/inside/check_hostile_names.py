"""Every input that takes the name of a file or folder keeps it inside the folder that it is for, or refuses it in one
sentence."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import folder_paths
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2] / "hostile"))
from judged import refusals
from names import OUTSIDE, SOUND, UNFIT, hostile_names

from anima_fast_train.nodes.folders.checkpoints import CheckpointOptions
from anima_fast_train.nodes.folders.context_uploads import take_context
from anima_fast_train.nodes.folders.contexts import context_path, save_as_new_card, save_as_new_file
from anima_fast_train.nodes.folders.output_names import save_in_output
from anima_fast_train.nodes.folders.references import existing_folder
from anima_fast_train.nodes.live.previews import PreviewOptions
from anima_fast_train.training.trainables.context_card import to_card
from anima_fast_train.training.trainables.context_file import ReferenceContext
from anima_fast_train.training.trainables.context_tokens import ContextTokens

NAMES = hostile_names(240)
CONTEXT = ReferenceContext(ContextTokens(torch.ones(2, 3, 4)))
PICTURE = Image.new("RGB", (2, 2))


@contextmanager
def own_folders() -> Iterator[Path]:
    """ComfyUI's folders are those of an empty one, beside which nothing may come to lie."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        before = folder_paths.models_dir, folder_paths.get_output_directory(), folder_paths.get_input_directory()
        for name in ("models", "output", "input"):
            (root / name).mkdir()
        folder_paths.models_dir = str(root / "models")
        folder_paths.set_output_directory(str(root / "output"))
        folder_paths.set_input_directory(str(root / "input"))
        try:
            yield root
        finally:
            folder_paths.models_dir = before[0]
            folder_paths.set_output_directory(before[1])
            folder_paths.set_input_directory(before[2])


def refused_names(attempt: Callable[[str, Path], object]) -> set[str]:
    """Those of NAMES that were refused; nothing was written beside the folders."""
    assert len(NAMES) == 240
    with own_folders() as root:
        said = refusals(lambda name: attempt(name, root), NAMES)
        assert sorted(path.name for path in root.iterdir()) == ["input", "models", "output"]
    return {NAMES[number] for number in said}


def require_new_file(path: Path, folder: Path) -> None:
    assert path.is_file() and path.resolve().is_relative_to(folder), path


def check_the_prefix_of_a_context() -> None:
    def save(name: str, root: Path) -> None:
        folder = root / "models" / "anima_contexts"
        require_new_file(folder / save_as_new_file(CONTEXT, name), folder)

    refused = refused_names(save)
    assert refused.issuperset((*OUTSIDE, *UNFIT)) and refused.isdisjoint(SOUND)


def check_the_prefix_of_a_card() -> None:
    def save(name: str, root: Path) -> None:
        folder = root / "models" / "anima_contexts"
        saved = folder / save_as_new_card(CONTEXT, name, PICTURE)
        require_new_file(saved, folder)
        assert saved.suffix == ".png"

    refused = refused_names(save)
    assert refused.issuperset((*OUTSIDE, *UNFIT)) and refused.isdisjoint(SOUND)


def check_the_name_of_a_dropped_file() -> None:
    """The name that a browser sends becomes one that is free and fit."""

    def take(name: str, root: Path) -> None:
        for ending, content in ((".safetensors", CONTEXT.to_bytes()), (".PNG", to_card(CONTEXT, PICTURE))):
            (root / "input" / "upload").write_bytes(content)
            folder = root / "models" / "anima_contexts"
            require_new_file(folder / take_context(root / "input" / "upload", name + ending), folder)

    assert refused_names(take) == set()


def check_the_prefix_of_a_table() -> None:
    refused = refused_names(lambda name, root: require_new_file(save_in_output(name, ".csv", b""), root / "output"))
    assert refused.issuperset((*OUTSIDE, *UNFIT)) and refused.isdisjoint(SOUND)


def check_the_name_of_a_checkpoint() -> None:
    def plan(name: str, root: Path) -> None:
        planned = CheckpointOptions(checkpoint_every=1, checkpoint_name=name).plan()
        assert planned is not None and planned.path.is_relative_to(root / "output" / "anima_checkpoints")

    refused = refused_names(plan)
    assert refused.issuperset((*OUTSIDE, *UNFIT)) and refused.isdisjoint(SOUND)


def check_the_name_of_a_run_to_go_on_from() -> None:
    """None of them is there; an empty one asks for none."""

    def resume(name: str, root: Path) -> None:
        assert CheckpointOptions(resume_from=name).resumed_state() is None

    assert refused_names(resume) == {name for name in NAMES if name.strip()}


def check_the_folder_of_previews() -> None:
    def place(name: str, root: Path) -> None:
        folder = PreviewOptions(preview_every=1, preview_name=name).folder()
        assert folder is not None and folder.is_relative_to(root / "output" / "anima_previews")

    refused = refused_names(place)
    assert refused.issuperset((*OUTSIDE, *UNFIT)) and refused.isdisjoint(SOUND)


def check_the_folder_of_references() -> None:
    """The input folder itself may be named in several ways; nothing else is there."""

    def find(name: str, root: Path) -> None:
        assert os.path.abspath(existing_folder(name, "folder")) == str(root / "input")

    refused = refused_names(find)
    assert refused.issuperset(name for name in NAMES if os.path.abspath(os.path.join("/root", name.strip())) != "/root")


def check_the_name_of_a_context_to_load() -> None:
    def find(name: str, root: Path) -> None:
        raise AssertionError(f"{context_path(name)} was found")

    assert refused_names(find) == set(NAMES)
