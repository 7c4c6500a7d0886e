"""Pictures in memory and files on disk form one list, and of the files one decoded picture exists at a time."""

from __future__ import annotations

import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from anima_fast_train.masking import Box, MaskShape
from anima_fast_train.training import Framing, Reference, encode_references, make_reference, train_context_tokens
from anima_fast_train.training.references import reference_file as files
from anima_fast_train.training.references.reference_file import ReferenceFile
from anima_fast_train.training.references.reference_folder import FolderOptions, open_reference_folder
from anima_fast_train.training.references.reference_list import ReferenceList
from anima_fast_train.training.settings import TrainingSettings


def picture(path: Path, size: tuple[int, int] = (32, 32), colour: str = "red") -> Path:
    Image.new("RGB", size, colour).save(path)
    return path


def in_memory(name: str = "in memory") -> Reference:
    return make_reference(torch.rand(16, 16, 3), torch.ones(16, 16), name=name)


def test_references_keep_their_order_and_files_are_read_when_it_is_their_turn(tmp_path: Path) -> None:
    last = ReferenceFile(tmp_path / "last.png", caption="words", weight=2.0, repeats=3)
    references = ReferenceList((in_memory(),)) + ReferenceList((ReferenceFile(picture(tmp_path / "first.png")), last))
    assert len(references) == 3
    iterator = iter(references)
    assert [next(iterator).name for _ in range(2)] == ["in memory", "first.png"]
    picture(tmp_path / "last.png")
    read = next(iterator)
    assert (read.name, read.caption, read.weight, read.repeats) == ("last.png", "words", 2.0, 3)


def test_added_references_are_named_by_their_place() -> None:
    chained = ReferenceList().adding([in_memory()], "one", 2.0).adding([in_memory(), in_memory()], "two", repeats=4)
    assert [one.name for one in chained] == ["added reference 1", "added reference 2", "added reference 3"]
    assert [(one.caption, one.weight, one.repeats) for one in chained] == [
        ("one", 2.0, 1),
        ("two", 1.0, 4),
        ("two", 1.0, 4),
    ]
    with pytest.raises(ValueError, match="weight of 'added reference 1' is 0, expected a number above 0"):
        ReferenceList().adding([in_memory()], weight=0)


def test_masks_are_shaped_at_the_resolution_they_were_drawn_in() -> None:
    mask = torch.zeros(64, 64)
    mask[30:34, 30:34] = 1
    whole, shaped = make_reference(torch.rand(16, 16, 3)), make_reference(torch.rand(16, 16, 3), mask)
    first, second = ReferenceList((whole, shaped), MaskShape(grow=2))
    assert first.mask is None
    assert second.mask is not None
    assert second.mask[28:36, 30:34].eq(1).all()
    assert second.mask[:28].sum() == 0
    (noted,) = ReferenceList((replace(shaped, notes=("the first frame",)),), MaskShape(grow=2))
    assert noted.notes == ("the first frame",)
    with pytest.raises(ValueError, match="the mask of 'reference' selects nothing"):
        list(ReferenceList((shaped,), MaskShape(smallest_speck=100)))


def test_masks_can_be_left_out() -> None:
    mask = torch.zeros(16, 16)
    mask[0, 0] = 1
    (whole,) = ReferenceList((make_reference(torch.rand(16, 16, 3), mask),), whole=True)
    assert whole.mask is None


def test_twenty_references_of_1024_pixels_train_with_one_decoded_picture_in_memory(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        picture(
            tmp_path / f"{number:02}.png", (1024, 1024) if number % 2 else (1024, 768), f"rgb({12 * number}, 90, 200)"
        )
    decoded: list[weakref.ref] = []
    most = 0
    read_reference = files.read_reference

    def watched(*arguments: Any) -> Reference:
        nonlocal most
        still_there = sum(one() is not None for one in decoded)
        reference = read_reference(*arguments)
        decoded.append(weakref.ref(reference.image))
        most = max(most, still_there + 1)
        return reference

    monkeypatch.setattr(files, "read_reference", watched)
    references = ReferenceList(open_reference_folder(tmp_path).entries)
    encoded = encode_references(tiny, references, Framing(size=64))
    assert len(decoded) == 40, "each file is tried once and encoded once"
    assert most == 1
    result = train_context_tokens(tiny, encoded, TrainingSettings(steps=10, batch_size=2, learning_rate="0.01"))
    assert result.trained.info.reference_count == 20
    assert sum(one() is not None for one in decoded) == 0


def test_a_folder_gives_its_references_weight_and_repeats(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (entry,) = open_reference_folder(tmp_path, FolderOptions(weight=0.5, repeats=10)).entries
    loaded = entry.load()
    assert (loaded.weight, loaded.repeats) == (0.5, 10)
    with pytest.raises(ValueError, match="repeats of 'a.png' is 0"):
        open_reference_folder(tmp_path, FolderOptions(repeats=0))


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("fit", ["stretch", "crop", "letterbox"])
@pytest.mark.parametrize("crop_margin", [None, 0.2])
@pytest.mark.parametrize("size", [(700, 400), (333, 1024)])
def test_a_marker_stays_under_its_latent_mask(
    tiny: Any, size: tuple[int, int], crop_margin: float | None, fit: Any, flip: bool
) -> None:
    width, height = size
    box = Box(width // 5, height // 3, width // 6, height // 7)
    mask = torch.zeros(height, width)
    mask[box.rows, box.columns] = 1
    reference = make_reference(mask.unsqueeze(-1).repeat(1, 1, 3), mask)
    (encoded,) = encode_references(
        tiny,
        [reference],
        Framing(
            size=256,
            fit=fit,
            crop_to_mask=crop_margin is not None,
            crop_margin=crop_margin or 0.0,
            flip=flip,
            padding=0.0,
        ),
    )
    brightness = (encoded.latent[0, 0] + 1) / 2  # the tiny codec averages the colour of each cell
    drawn, learned = brightness > 0.5, encoded.latent_mask[0, 0] > 0.5
    for axis in (0, 1):
        shown, selected = (torch.nonzero(cells.any(dim=axis)).flatten() for cells in (drawn, learned))
        assert abs(int(shown[0]) - int(selected[0])) <= 1
        assert abs(int(shown[-1]) - int(selected[-1])) <= 1
