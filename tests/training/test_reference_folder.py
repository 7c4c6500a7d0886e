"""That a folder as it lies on an artist's disk becomes references, with every broken file named and nothing read
outside of it."""

import os
import re
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from anima_fast_train.training.references import reference_file, reference_folder
from anima_fast_train.training.references.caption_file import caption_from_name
from anima_fast_train.training.references.reference import Reference
from anima_fast_train.training.references.reference_folder import FolderOptions, open_reference_folder


def save_picture(path: Path, size: tuple[int, int] = (12, 8), colour: str = "red") -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def save_mask(path: Path, size: tuple[int, int] = (12, 8), value: int = 255) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.new("L", size, value).save(path)
    return path


@pytest.mark.parametrize(
    ("name", "caption"),
    [
        ("000001-1-a man in suit.png", "a man in suit"),
        ("a man in suit.png", "a man in suit"),
        ("12 angry men.webp", "angry men"),
        ("2girls, 1boy.png", "girls, 1boy"),
        ("007.png", ""),
        ("v1.5 sketch.PNG", "v1.5 sketch"),
    ],
)
def test_captions_come_from_file_names_by_the_rules_of_the_webui(name: str, caption: str) -> None:
    assert caption_from_name(name) == caption


def test_a_word_pattern_picks_words_and_the_join_string_joins_them() -> None:
    assert caption_from_name("01-red_hair_smile.png", word_pattern="[a-z]+", join=", ") == "red, hair, smile"
    assert caption_from_name("01-red_hair_smile.png", word_pattern="([a-z]+)_", join=" ") == "red hair"


def test_masks_and_captions_are_found_by_name(tmp_path: Path) -> None:
    save_picture(tmp_path / "refs" / "000001-1-a man in suit.png", colour="blue")
    save_picture(tmp_path / "refs" / "Two Words.JPG")
    save_picture(tmp_path / "refs" / unicodedata.normalize("NFD", "höhe 高さ.png"))
    (tmp_path / "refs" / "Two Words.txt").write_text("\ufeffred hair,\n  smile \n", encoding="utf-8")
    save_mask(tmp_path / "masks" / "000001-1-a man in suit.png", value=51)
    save_mask(tmp_path / "masks" / "two words.png")
    save_mask(tmp_path / "masks" / unicodedata.normalize("NFC", "höhe 高さ.webp"))
    folder = open_reference_folder(tmp_path / "refs", FolderOptions(mask_folder=tmp_path / "masks"))
    first, second, third = folder
    assert len(folder) == 3
    assert first.name == "000001-1-a man in suit.png"
    assert [reference.caption for reference in (first, second)] == ["a man in suit", "red hair, smile"]
    assert unicodedata.normalize("NFC", third.caption) == "höhe 高さ"
    assert first.mask is not None
    assert second.mask is not None
    torch.testing.assert_close(first.mask, torch.full((8, 12), 0.2))
    assert float(second.mask.min()) == 1
    assert first.image[0, 0].tolist() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("source", "captions"),
    [
        ("txt or file name", ["from text", "b c"]),
        ("txt", ["from text", ""]),
        ("file name", ["a", "b c"]),
        ("none", ["", ""]),
    ],
)
def test_the_source_of_captions_can_be_chosen(
    tmp_path: Path, source: reference_folder.CaptionSource, captions: list[str]
) -> None:
    save_picture(tmp_path / "a.png")
    save_picture(tmp_path / "b c.png")
    (tmp_path / "a.txt").write_text("from text")
    assert [
        reference.caption for reference in open_reference_folder(tmp_path, FolderOptions(captions=source))
    ] == captions


def test_masks_come_from_alpha_where_asked_for(tmp_path: Path) -> None:
    rgba = np.full((8, 12, 4), 255, dtype=np.uint8)
    rgba[:, 6:, 3] = 0
    Image.fromarray(rgba, "RGBA").save(tmp_path / "a.png")
    (reference,) = open_reference_folder(tmp_path, FolderOptions(mask_source="alpha"))
    assert reference.mask is not None
    assert reference.mask[0].tolist() == [1.0] * 6 + [0.0] * 6
    save_picture(tmp_path / "opaque.png")
    with pytest.raises(ValueError, match=r"'opaque.png': no mask from .* the picture has none"):
        open_reference_folder(tmp_path, FolderOptions(mask_source="alpha"))


def break_twenty(refs: Path, masks: Path) -> dict[str, str]:
    """Break twenty of the pictures in ways that happen; returns what the reason of each must say."""
    reasons: dict[str, str] = {}

    def broken(reason: str) -> Path:
        path = refs / f"{len(reasons):03d} picture.png"
        reasons[path.name] = reason
        return path

    broken("the file is empty").write_bytes(b"")
    broken("not a picture of a known kind").write_text("hello")
    path = broken("cannot read image")
    path.write_bytes(path.read_bytes()[:50])
    path = broken("not a picture of a known kind")
    path.write_bytes(b"\0" * path.stat().st_size)
    path = broken("it is a folder")
    path.unlink()
    path.mkdir()
    path = broken("NaN or infinite")
    Image.fromarray(np.full((8, 12), np.nan, dtype=np.float32)).save(path, format="TIFF")
    path = broken("values run from 2 to 2")
    Image.fromarray(np.full((8, 12), 2, dtype=np.float32)).save(path, format="TIFF")
    path = broken("link that leaves its folder")
    path.unlink()
    path.symlink_to(save_picture(refs.parent / "secret.png"))
    path = broken("no such file")
    path.unlink()
    path.symlink_to("gone.png")
    path = broken("cannot read image|leads nowhere")
    path.unlink()
    path.symlink_to(path.name)
    broken("cannot be read as UTF-8").with_suffix(".txt").write_bytes(b"caf\xe9")
    path = broken("'011 picture.txt' is a link that leaves its folder")
    (refs.parent / "secret.txt").write_text("secret")
    path.with_suffix(".txt").symlink_to(refs.parent / "secret.txt")
    (masks / broken("there is no mask of this name").name).unlink()
    save_mask(masks / broken("selects nothing").name, value=0)
    save_mask(masks / broken("aspect").name, size=(8, 12))
    (masks / broken("the file is empty").name).write_bytes(b"")
    path = masks / broken("cannot read image").name
    path.write_bytes(path.read_bytes()[:50])
    path = masks / broken("link that leaves its folder").name
    path.unlink()
    path.symlink_to(refs.parent / "secret.png")
    path = masks / broken("several files").name
    save_mask(path.with_suffix(".bmp"))
    path.rename(path.with_suffix(".webp"))
    path = broken("cannot read image")
    content = bytearray(path.read_bytes())
    content[16:20] = b"\xff\xff\xff\xff"  # the width in the header
    path.write_bytes(content)
    return reasons


@pytest.fixture
def two_hundred(tmp_path: Path) -> tuple[Path, Path, dict[str, str]]:
    refs, masks = tmp_path / "refs", tmp_path / "masks"
    for number in range(200):
        save_picture(refs / f"{number:03d} picture.png")
        save_mask(masks / f"{number:03d} picture.png")
    reasons = break_twenty(refs, masks)
    assert len(reasons) == 20
    return refs, masks, reasons


def test_of_two_hundred_files_the_sound_ones_load_and_each_broken_one_is_named(
    two_hundred: tuple[Path, Path, dict[str, str]],
) -> None:
    refs, masks, reasons = two_hundred
    folder = open_reference_folder(refs, FolderOptions(mask_folder=masks, strict=False))
    assert len(list(folder)) == 180
    assert [file.name for file in folder.broken] == list(reasons)
    for file in folder.broken:
        assert re.search(reasons[file.name], file.reason), (file, reasons[file.name])
        assert "\n" not in file.reason


def test_strict_refuses_the_folder_and_names_the_first_broken_files_and_how_many(
    two_hundred: tuple[Path, Path, dict[str, str]],
) -> None:
    refs, masks, reasons = two_hundred
    with pytest.raises(ValueError, match="^20 of 200 pictures in .* cannot be used: ") as refused:
        open_reference_folder(refs, FolderOptions(mask_folder=masks, strict=True))
    said, [first, second, *_] = str(refused.value), reasons
    assert repr(first) in said and repr(second) in said
    assert said.endswith("; and 18 more")
    assert len(said) <= 300


def test_a_folder_with_nothing_sound_is_refused_even_when_lenient(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(ValueError, match="1 of 1 pictures"):
        open_reference_folder(tmp_path, FolderOptions(strict=False))


def save_animation(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    frames = [Image.new("RGB", (12, 8), colour) for colour in ("red", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
    return path


def test_what_an_artist_should_know_about_a_file_comes_with_its_name(tmp_path: Path) -> None:
    refs, masks = tmp_path / "refs", tmp_path / "masks"
    save_animation(refs / "animated.gif")
    save_picture(refs / "plain.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 12), "red").save(refs / "turned.jpg", exif=exif)
    for name in ("animated.png", "turned.png"):
        save_mask(masks / name)
    save_animation(masks / "plain.gif")
    folder = open_reference_folder(refs, FolderOptions(mask_folder=masks))
    animated, plain, turned = (
        "only the first of 2 frames is used",
        "its mask: only the first of 2 frames is used",
        "turned upright",
    )
    assert [file.name for file in folder.notes] == ["animated.gif", "plain.png", "turned.jpg"]
    for file, words in zip(folder.notes, (animated, plain, turned), strict=True):
        assert file.note.startswith(words)
    assert [reference.notes for reference in folder] == [(file.note,) for file in folder.notes]


def test_a_link_inside_the_folder_is_followed(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("a.png")
    assert [reference.name for reference in open_reference_folder(tmp_path)] == ["a.png", "b.png"]


def test_only_allowed_folders_are_read(tmp_path: Path) -> None:
    save_picture(tmp_path / "input" / "a.png")
    save_picture(tmp_path / "input_2" / "a.png")
    (tmp_path / "input" / "way out").symlink_to(tmp_path / "input_2")
    options = FolderOptions(allowed=(tmp_path / "input",))
    assert len(open_reference_folder(tmp_path / "input", options)) == 1
    for outside in (tmp_path / "input_2", tmp_path / "input" / ".." / "input_2", tmp_path / "input" / "way out"):
        with pytest.raises(
            ValueError, match="^reference folder .* lies outside of the folders that may be read: .*input'$"
        ):
            open_reference_folder(outside, options)
    with pytest.raises(ValueError, match="^mask folder .* lies outside"):
        open_reference_folder(
            tmp_path / "input", FolderOptions(mask_folder=tmp_path / "input_2", allowed=options.allowed)
        )


def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="gone' is not there, expected a folder"):
        open_reference_folder(tmp_path / "gone")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / ".hidden.png").write_bytes(b"")
    with pytest.raises(ValueError, match="holds no pictures"):
        open_reference_folder(tmp_path)
    save_picture(tmp_path / "a.png")
    with pytest.raises(ValueError, match="is the reference folder itself"):
        open_reference_folder(tmp_path, FolderOptions(mask_folder=tmp_path / "." / ""))


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(ValueError, match="not a regular file"):
        open_reference_folder(tmp_path)


@pytest.mark.parametrize("options", [{"captions": "exif"}, {"word_pattern": "("}])
def test_options_that_make_no_sense_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="unknown caption source|not a regular expression"):
        FolderOptions(**options)


def test_pixels_are_read_only_while_iterating(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        save_picture(tmp_path / f"{number}.png")
    folder = open_reference_folder(tmp_path)
    read: list[Path] = []
    original = reference_file.read_reference

    def noted(path: Path, *rest: Any) -> Reference:
        read.append(path)
        return original(path, *rest)

    monkeypatch.setattr(reference_file, "read_reference", noted)
    iterator = iter(folder)
    assert read == []
    next(iterator)
    assert [path.name for path in read] == ["0.png"]
