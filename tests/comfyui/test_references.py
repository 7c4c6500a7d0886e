"""References of several sizes and from folders train together, and what is wrong with them reaches the user in
words."""

from __future__ import annotations

import os
from pathlib import Path

import numpy
import pytest
from comfyui_server import ComfyServer
from PIL import Image
from workflows import Workflow, node, training, training_options

FOLDER_CHOICES = {
    "masks_from": "mask folder: brightness, white is learned",
    "captions": "txt or file name",
    "broken_files": "leave them out",
    "weight": 1.0,
    "repeats": 1,
    "word_pattern": "",
    "join": " ",
}


def added(picture: list, previous: str | None = None, **changes: object) -> dict:
    links = {} if previous is None else {"references": [previous, 0]}
    return node(
        "AnimaFastTrainAddReference",
        **{"image": picture, "caption": "", "weight": 1.0, "repeats": 1, **links, **changes},
    )


def chain() -> Workflow:
    """The picture with its mask, then a wide crop of it without a mask."""
    return {
        "reference": node("LoadImage", image="reference.png"),
        "wide": node("ImageCrop", image=["reference", 0], width=96, height=48, x=0, y=0),
        "first": added(["reference", 0], mask=["reference", 1], caption="1girl, smile"),
        "second": added(["wide", 0], "first", weight=2.0),
    }


def with_references(references: str, masked: bool = True, **changes: object) -> Workflow:
    workflow = training(masked, references=[references, 0], **changes)
    for name in ("reference_image", "training_mask"):
        workflow["train"]["inputs"].pop(name, None)
    return workflow


def coverages(info: str) -> list[float]:
    return [
        float(line.split(":")[1].strip(" %")) for line in info.splitlines() if line.startswith("coverage of reference")
    ]


def test_a_chain_of_two_sizes_trains_without_a_reference_image(server: ComfyServer):
    info = server.run_well(with_references("second") | chain()).text("info")
    assert "references: 2" in info
    masked, whole = coverages(info)
    assert masked == pytest.approx(100 / 6, abs=1)
    assert whole == 100


def test_the_reference_image_comes_before_the_chain(server: ComfyServer):
    info = server.run_well(training(references=["second", 0]) | chain()).text("info")
    assert "references: 3" in info
    assert coverages(info)[2] == 100


def test_without_masks_all_of_each_reference_is_learned(server: ComfyServer):
    info = server.run_well(with_references("second", masked=False) | chain()).text("info")
    assert coverages(info) == [100, 100]


def test_mirrored_pictures_and_varied_captions_train(server: ComfyServer):
    workflow = with_references("second", training_prompt="a drawing of [name], [filewords]\n[filewords]") | chain()
    changes = {
        "flip_augmentation": True,
        "name": "ann",
        "shuffle_tags": True,
        "tag_dropout": 0.3,
        "caption_dropout": 0.2,
        "enlarge": False,
    }
    workflow["options"] = training_options(crop_to_mask=True, fit="letterbox", **changes)
    assert "references: 2" in server.run_well(workflow).text("info")


def test_pictures_varied_by_chance_train_before_other_backgrounds(server: ComfyServer):
    workflow = with_references("second") | chain()
    workflow["options"] = training_options(random_crop=0.3, backgrounds="pictures", background_images=["reference", 0])
    assert "references: 2" in server.run_well(workflow).text("info")
    del workflow["options"]["inputs"]["background_images"]
    assert server.run(workflow).error == "no background picture came, expected at least one for backgrounds 'pictures'"


def test_an_attention_map_changes_what_is_learned(server: ComfyServer):
    """The evaluation counts all of the mask alike, so that it compares with a training without the map."""
    plain = server.run_well(training()).text("info")
    workflow = training(attention_map=["face", 0])
    workflow["face"] = node("SolidMask", value=0.0, width=64, height=64)
    assert figures(server.run_well(workflow).text("info")) == figures(plain)
    workflow["face"] = node("FeatherMask", mask=["reference", 1], left=20, top=0, right=0, bottom=0)
    assert figures(server.run_well(workflow).text("info")) != figures(plain)
    workflow["first"] = added(["reference", 0], mask=["reference", 1], attention_map=["face", 0])
    workflow["train"]["inputs"]["references"] = ["first", 0]
    assert "references: 2" in server.run_well(workflow).text("info")


def figures(info: str) -> list[str]:
    return [line for line in info.splitlines() if line.startswith(("evaluation loss", "leak", "final loss"))]


def test_no_reference_at_all_is_one_sentence(server: ComfyServer):
    workflow = training()
    for name in ("reference_image", "training_mask"):
        del workflow["train"]["inputs"][name]
    assert "no reference image came" in server.run(workflow).error
    workflow["train"]["inputs"]["training_mask"] = ["reference", 1]
    assert "training_mask came without reference_image" in server.run(workflow).error
    workflow = training()
    del workflow["train"]["inputs"]["training_mask"]
    assert server.run(workflow).error == "at least one reference mask is required"


def test_the_preview_shows_every_reference(server: ComfyServer):
    workflow = {
        **chain(),
        "preview": node("AnimaFastTrainPreviewMask", references=["second", 0], training_image_size=64),
        "mask_picture": node("MaskToImage", mask=["preview", 1]),
        "saved": node("PreviewImage", images=["mask_picture", 0]),
    }
    finished = server.run_well(workflow)
    assert len(finished.outputs["saved"]["images"]) == 2
    assert server.picture(finished, "preview").shape[0] > 2 * 512


def test_a_collage_holds_every_reference_with_its_mask_and_all_tags(server: ComfyServer):
    workflow = chain()
    workflow["second"]["inputs"]["caption"] = "1girl, sitting"
    workflow["collage"] = node(
        "AnimaFastTrainReferenceCollage",
        references=["second", 0],
        width=256,
        height=256,
        rows=0,
        columns=0,
        gutter=16,
        background="#181818",
        join_captions=True,
    )
    workflow["picture"] = node("PreviewImage", images=["collage", 0])
    workflow["mask_picture"] = node("MaskToImage", mask=["collage", 1])
    workflow["mask"] = node("PreviewImage", images=["mask_picture", 0])
    workflow["caption"] = node("PreviewAny", source=["collage", 2])
    finished = server.run_well(workflow)
    picture, mask = server.picture(finished, "picture"), server.picture(finished, "mask")[..., 0]
    assert picture.shape == (256, 256, 3)
    background = (picture == 0x18).all(axis=-1)
    assert background[:16].all()
    assert not mask[background].any()
    assert 0 < (mask > 127).sum() < (~background).sum()
    assert finished.text("caption") == "1girl, smile, sitting"


@pytest.fixture
def folder(server: ComfyServer) -> Path:
    """Three sound references of two sizes in the input folder, and a broken one."""
    folder = server.base / "input" / "set of pictures"
    (folder / "masks").mkdir(parents=True, exist_ok=True)
    for number, size in enumerate([(96, 96), (96, 96), (96, 48)]):
        name = f"00{number}-1-a cat.png"
        Image.new("RGB", size, (60 * number, 90, 200)).save(folder / name)
        Image.fromarray(numpy.tile(numpy.linspace(0, 255, size[0]).astype(numpy.uint8), (size[1], 1))).save(
            folder / "masks" / name
        )
    (folder / "000-1-a cat.txt").write_text("1girl, red hair")
    (folder / "broken.png").write_bytes(b"no picture")
    Image.new("L", (96, 96), 255).save(folder / "masks" / "broken.png")
    return folder


def loaded(folder: str, **changes: object) -> Workflow:
    inputs = {"folder": folder, "mask_folder": f"{folder}/masks", **FOLDER_CHOICES, **changes}
    return {
        "folder": node("AnimaFastTrainLoadReferenceFolder", **inputs),
        "folder_info": node("PreviewAny", source=["folder", 1]),
    }


def test_a_folder_trains_and_names_what_is_broken(server: ComfyServer, folder: Path):
    finished = server.run_well(with_references("folder") | loaded(folder.name))
    told = finished.text("folder_info")
    assert told.splitlines()[0] == f"3 references from {folder.name!r}, 1 broken files"
    assert "broken: broken.png: cannot read image" in told
    assert "000-1-a cat.png: 1girl, red hair" in told
    assert "001-1-a cat.png: a cat" in told
    assert "references: 3" in finished.text("info")


def test_notes_on_files_are_told(server: ComfyServer, folder: Path):
    frames = [Image.new("RGB", (96, 96), colour) for colour in ("red", "blue")]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    told = server.run_well(loaded(folder.name, masks_from="no masks: all of each picture is learned")).text(
        "folder_info"
    )
    (folder / "moving.gif").unlink()
    assert told.splitlines()[0] == f"4 references from {folder.name!r}, 1 broken files"
    assert "note: moving.gif: only the first of 2 frames is used" in told.splitlines()


@pytest.mark.parametrize("missing", ["folder", "mask_folder"])
def test_a_folder_that_is_not_there_yet_says_where_to_make_it(server: ComfyServer, folder: Path, missing: str):
    workflow = loaded(folder.name)
    workflow["folder"]["inputs"][missing] = "my character"
    error = server.run(workflow).error
    assert error.startswith(f"{missing} 'my character' is not there: make the folder")
    assert str(server.base / "input" / "my character") in error
    assert "\n" not in error


def test_a_strict_folder_is_refused_with_every_reason(server: ComfyServer, folder: Path):
    refused = server.run(loaded(folder.name, broken_files="refuse the folder"))
    assert "1 of 4 pictures" in refused.error
    assert "'broken.png': cannot read image" in refused.error


def test_a_changed_file_is_read_again(server: ComfyServer, folder: Path):
    workflow = loaded(folder.name)
    server.run_well(workflow)
    assert "folder" in server.run_well(workflow).cached_nodes
    (folder / "001-1-a cat.txt").write_text("changed words")
    again = server.run_well(workflow)
    assert "001-1-a cat.png: changed words" in again.text("folder_info")
    (folder / "001-1-a cat.txt").unlink()


@pytest.mark.parametrize("way", ["..", "{outside}", "~", "link"])
def test_no_other_folder_is_read(server: ComfyServer, tmp_path: Path, way: str):
    Image.new("RGB", (96, 96)).save(tmp_path / "secret.png")
    link = server.base / "input" / "link"
    if not link.is_symlink():
        os.symlink(tmp_path, link)
    refused = server.run(loaded(way.format(outside=tmp_path), masks_from="no masks: all of each picture is learned"))
    link.unlink()
    assert "lies outside of the folders that may be read" in refused.error
    assert "secret" not in refused.error.replace(str(tmp_path), "")
