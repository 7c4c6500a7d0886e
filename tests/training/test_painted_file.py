"""The four files of a save in ComfyUI's mask editor, with and without their colours."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anima_fast_train.training.references.image_file import read_image
from anima_fast_train.training.references.painted_file import painted_layers, repair_painted_file
from anima_fast_train.training.references.reference_file import read_reference
from anima_fast_train.training.references.reference_folder import FolderOptions, open_reference_folder

SIDE = 32
INSIDE = (slice(8, 24), slice(8, 24))
STROKE = (slice(10, 28), slice(20, 30))  # of colour, in and outside of the mask


def colours(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def masked(rgb: np.ndarray, lost: bool) -> np.ndarray:
    """[H,W,4], transparent inside, where its colours are lost or not."""
    alpha = np.full((SIDE, SIDE, 1), 255, np.uint8)
    alpha[INSIDE] = 0
    return np.concatenate([np.where(alpha > 0, rgb, 0) if lost else rgb, alpha], axis=-1)


def save(folder: Path, lost: bool = True, number: int = 1795275890779, stroke: bool = False) -> Path:
    """The four files as the editor uploads them; the path of the one that Load Image shows."""
    rgb, strokes = colours(), np.zeros((SIDE, SIDE, 4), np.uint8)
    if stroke:
        strokes[STROKE] = (250, 20, 20, 255)
    painted = np.where(strokes[..., 3:] > 0, strokes[..., :3], rgb)
    opaque = np.full((SIDE, SIDE, 1), 255, np.uint8)
    files = {
        "mask": masked(rgb, lost),
        "paint": strokes,
        "painted": np.concatenate([painted, opaque], axis=-1),
        "painted-masked": masked(painted, lost),
    }
    for layer, pixels in files.items():
        Image.fromarray(pixels).save(folder / f"clipspace-{layer}-{number}.png")
    return folder / f"clipspace-painted-masked-{number}.png"


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def layer(path: Path, name: str) -> Path:
    return path.with_name(path.name.replace("painted-masked", name))


def test_the_picture_and_the_one_to_be_opened_next_get_their_colours_back(tmp_path: Path):
    path = save(tmp_path)
    assert not pixels(path)[INSIDE][..., :3].any()
    assert repair_painted_file(path) == (path, layer(path, "mask"))
    for repaired in (path, layer(path, "mask")):
        assert np.array_equal(pixels(repaired), masked(colours(), lost=False))
    assert len(list(tmp_path.iterdir())) == 4, "nothing else is left"
    assert repair_painted_file(path) == (), "and once is enough"


def test_colour_strokes_belong_to_the_picture_and_not_to_the_one_below_them(tmp_path: Path):
    path = save(tmp_path, stroke=True)
    repair_painted_file(path)
    assert np.array_equal(pixels(path)[..., :3], pixels(layer(path, "painted"))[..., :3])
    below, rgb = pixels(layer(path, "mask"))[..., :3], colours()
    strokes = pixels(layer(path, "paint"))[..., 3] > 0
    assert np.array_equal(below[~strokes], rgb[~strokes])
    assert not (below[strokes] == (250, 20, 20)).all(axis=-1).any()


def test_a_sound_save_is_not_touched(tmp_path: Path):
    path = save(tmp_path, lost=False, stroke=True)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    assert repair_painted_file(path) == ()
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("spoiled", ["missing", "another picture", "another size", "broken", "no PNG", "a link"])
def test_without_a_copy_that_kept_them_the_picture_stays_as_it_is(tmp_path: Path, spoiled: str):
    path = save(tmp_path)
    copy = layer(path, "painted")
    whole = Image.open(copy)
    whole.load()
    if spoiled == "another picture":
        Image.fromarray(np.dstack([colours(seed=1), pixels(copy)[..., 3]])).save(copy)
    elif spoiled == "another size":
        whole.resize((SIDE // 2, SIDE // 2)).save(copy)
    elif spoiled == "broken":
        copy.write_bytes(copy.read_bytes()[:200])
    elif spoiled == "no PNG":
        whole.save(copy, format="WEBP", lossless=True)
    else:
        copy.unlink()
    if spoiled == "a link":
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        whole.save(elsewhere / copy.name)
        copy.symlink_to(elsewhere / copy.name)
    before = path.read_bytes()
    if spoiled == "broken":
        with pytest.raises(ValueError, match="cannot read image"):
            repair_painted_file(path)
    else:
        assert repair_painted_file(path) == ()
    assert path.read_bytes() == before


def test_other_names_and_links_are_left_alone(tmp_path: Path):
    path = save(tmp_path)
    for name in ("example.png", "clipspace-painted-17.png", "clipspace-painted-masked-x.png", "clipspace-mask-17.png"):
        assert painted_layers(tmp_path / name) is None
        assert repair_painted_file(tmp_path / name) == ()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    target = elsewhere / path.name
    path.rename(target)
    layer(path, "mask").unlink()
    path.symlink_to(target)
    before = target.read_bytes()
    assert repair_painted_file(path) == ()
    assert target.read_bytes() == before


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_permissions_stay(tmp_path: Path):
    path = save(tmp_path)
    path.chmod(0o664)
    repair_painted_file(path)
    assert path.stat().st_mode & 0o777 == 0o664


def test_a_reference_from_such_a_file_has_its_colours_and_the_file_stays(tmp_path: Path):
    path = save(tmp_path)
    before = path.read_bytes()
    reference = read_reference(path, mask_source="transparent")
    assert np.array_equal((reference.image.numpy() * 255).round().astype(np.uint8), colours())
    assert reference.mask is not None and float(reference.mask.sum()) == 16 * 16
    assert reference.notes == (
        "its colours under the mask, which the mask editor lost, are from 'clipspace-painted-1795275890779.png'",
    )
    assert path.read_bytes() == before


def test_a_reference_whose_colours_are_gone_for_good_is_refused(tmp_path: Path):
    path = save(tmp_path)
    layer(path, "painted").unlink()
    with pytest.raises(ValueError, match="is black wherever its mask selects it"):
        read_reference(path, mask_source="transparent")
    assert read_reference(path, mask_source="alpha").mask is not None, "what was not painted is still there"


def test_a_folder_takes_each_save_as_one_reference(tmp_path: Path):
    first, second = save(tmp_path, number=1), save(tmp_path, number=2, stroke=True)
    Image.fromarray(colours(seed=3)).save(tmp_path / "clipspace-painted-9.png")  # of no save that is here
    folder = open_reference_folder(tmp_path, FolderOptions(mask_source=None, captions="none"))
    assert [entry.image.name for entry in folder.entries] == ["clipspace-painted-9.png", first.name, second.name]
    assert [note.name for note in folder.notes] == [first.name, second.name]
    loaded = next(entry for entry in folder.entries if entry.image == second).load()
    assert np.array_equal(
        (loaded.image.numpy() * 255).round().astype(np.uint8),
        (read_image(layer(second, "painted")).rgb.numpy() * 255).round().astype(np.uint8),
    )
