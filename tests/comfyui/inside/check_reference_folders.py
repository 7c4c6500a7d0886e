"""Which folders may be read follows from ComfyUI's own settings."""

from __future__ import annotations

import tempfile
from pathlib import Path

import folder_paths
from small_models import raises

from anima_fast_train.nodes.folders.references import (
    ALLOWED,
    allowed_folders,
    existing_folder,
    fingerprint,
    resolve_folder,
)
from anima_fast_train.nodes.load_folder_node import LoadReferenceFolder


def check_only_the_input_folder_is_allowed_at_first() -> None:
    assert allowed_folders() == (Path(folder_paths.get_input_directory()),)


def check_a_folder_in_extra_model_paths_is_allowed_with_all_below_it() -> None:
    """ComfyUI hands each entry of extra_model_paths.yaml to add_model_folder_path."""
    with tempfile.TemporaryDirectory() as named:
        below = Path(named) / "set" / "masks"
        below.mkdir(parents=True)
        with raises(ValueError, "lies outside", ALLOWED, "extra_model_paths.yaml"):
            resolve_folder(str(below))
        folder_paths.add_model_folder_path(ALLOWED, named)
        try:
            assert resolve_folder(str(below)) == below
            assert resolve_folder("set/masks") == below
            with raises(ValueError, "lies outside"):
                resolve_folder(f"{named}/../other")
        finally:
            del folder_paths.folder_names_and_paths[ALLOWED]


def check_the_fingerprint_follows_the_files() -> None:
    with tempfile.TemporaryDirectory() as folder:
        place, seen = Path(folder), set()
        seen.add(fingerprint(place))
        (place / "a.png").write_bytes(b"1")
        seen.add(fingerprint(place))
        (place / "a.txt").write_bytes(b"words")
        seen.add(fingerprint(place))
        (place / "a.txt").unlink()
        (place / "a.png").rename(place / "b.png")
        seen.add(fingerprint(place))
        assert len(seen) == 4
        assert fingerprint(place) in seen


def check_nothing_on_disk_is_asked_for_outside_of_the_allowed_folders() -> None:
    share = "//elsewhere/share"
    with raises(ValueError, "lies outside"):
        existing_folder(share, "folder")
    # Said when the node runs: a fingerprint that raises would be told as an error of ComfyUI's.
    assert LoadReferenceFolder.fingerprint_inputs(folder=share, masks_from="no masks", mask_folder="") == ""
