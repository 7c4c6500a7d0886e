"""Every example workflow runs from the first node to the last, with small pictures and few steps."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy
import pytest
from comfyui_installation import Installation
from comfyui_server import ComfyServer, Finished
from PIL import Image, ImageDraw, ImageOps

sys.path.insert(0, str(Path(__file__).parents[1]))

from example_server import SAVED_CONTEXTS, example_server
from saved_workflow import EXAMPLE_FILES, SavedWorkflow, recorded_object_info

# What the artist brings to an example, in the order of its Load Image nodes; elsewhere it is example.png with a painted
# mask.
BROUGHT = {
    "a_cut_out_character": ["cut-out.png"],
    "two_pictures_of_one_character": ["example.png", "wide.png"],
    "three_pictures_in_one_collage": ["example.png", "wide.png", "tall.png"],
    "a_collage_as_a_chroma_lora": ["example.png", "wide.png", "tall.png"],
}
OLD = sorted((Path(__file__).parents[1] / "version_0_1" / "workflows").glob("*.json"))
BROUGHT_THEN = {
    "alpha_mask": ["cut-out.png"],
    "two_references": ["example.png", "wide.png"],
    "collage": ["example.png", "wide.png", "tall.png"],
}
CAPTIONS = {"front.png": "1girl, standing", "side view.png": "1girl, from side"}
CHARACTER = 0.6 * 0.8 * math.pi / 4  # the ellipse's share of the picture
HALF = 512  # the width of a mask for half of a picture
SMALL = {"training_image_size": 128, "width": 128, "height": 128, "train_steps": 2, "steps": 2}
# What shows something to the user, and under which name /history keeps it.
SHOWN = {
    "SaveImage": "images",
    "PreviewAny": "text",
    "LossGraphNode": "images",
    "AnimaFastTrainPreviewMask": "images",
    "AnimaFastTrainSaveContext": "text",
    "AnimaFastTrainMaskedReferenceContext": "text",
    "AnimaFastTrainReferenceContext": "text",
    "AnimaFastTrainMaskedLora": "text",
    "AnimaFastTrainPlotTraining": "images",
    "AnimaFastTrainCompareContexts": "images",
}

TELLING = ("PreviewAny", "AnimaFastTrainMaskedReferenceContext")


@pytest.fixture(scope="module")
def server_with_files(
    installation: Installation, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ComfyServer]:
    server = example_server(installation, models, tmp_path_factory.mktemp("examples"))
    bring_pictures(server.base / "input")
    with server:
        yield server


def bring_pictures(folder: Path) -> None:
    """Painted, cut out, of other sizes, and a folder with masks and captions, all made of ComfyUI's own example
    picture."""
    picture = Image.open(folder / "example.png").convert("RGB")
    picture.save(folder / "not-painted.png")
    references = folder / "references"
    (references / "masks").mkdir(parents=True)
    for place, shown in (
        (folder / "wide.png", picture.resize((320, 160))),
        (folder / "tall.png", picture.resize((200, 360))),
    ):
        with_alpha(shown, ImageOps.invert(character(shown))).save(place)
    with_alpha(picture, character(picture)).save(folder / "cut-out.png")
    with_alpha(picture, ImageOps.invert(character(picture))).save(
        folder / "example.png"
    )  # as the mask editor leaves it
    for (name, caption), size in zip(CAPTIONS.items(), ((256, 256), (320, 160)), strict=True):
        shown = picture.resize(size)
        shown.save(references / name)
        (references / name).with_suffix(".txt").write_text(caption)
        character(shown).save(references / "masks" / name)


def character(picture: Image.Image) -> Image.Image:
    """White where the character is."""
    mask = Image.new("L", picture.size, 0)
    ImageDraw.Draw(mask).ellipse(
        [side * part for side, part in zip(2 * picture.size, (0.2, 0.1, 0.8, 0.9), strict=True)], fill=255
    )
    return mask


def with_alpha(picture: Image.Image, alpha: Image.Image) -> Image.Image:
    picture = picture.copy()
    picture.putalpha(alpha)
    return picture


def small(name: str) -> dict[str, dict[str, Any]]:
    return smaller(EXAMPLE_FILES[name], BROUGHT.get(name, []))


def smaller(path: Path, brought: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    prompt = SavedWorkflow(path, recorded_object_info()).prompt()
    for node in prompt.values():
        # A widget that something is wired to keeps its link.
        given = {key: value for key, value in SMALL.items() if key in node["inputs"]}
        if node["class_type"] == "SolidMask" and node["inputs"].get("width") == HALF:
            given["width"] //= 2
        node["inputs"].update(given)
    for node, file in zip(nodes_of(prompt, "LoadImage"), brought, strict=False):
        node["inputs"]["image"] = file
    return prompt


def nodes_of(prompt: dict[str, dict], kind: str) -> list[dict]:
    return [node for node in prompt.values() if node["class_type"] == kind]


def shown(prompt: dict[str, dict], finished: Finished) -> dict[str, Any]:
    """Id -> what the node shows, for all nodes that show something."""
    return {
        id: finished.outputs[id][SHOWN[node["class_type"]]]
        for id, node in prompt.items()
        if node["class_type"] in SHOWN
    }


def texts(server: ComfyServer, prompt: dict[str, dict]) -> str:
    """All that the text nodes say after a good run."""
    finished = server.run_well(prompt)
    told = [finished.text(id) for id, node in prompt.items() if node["class_type"] in TELLING]
    return "\n".join(dict.fromkeys(told))  # an info that is shown twice is told once


def coverages(told: str) -> list[float]:
    return [
        float(line.split(":")[1].strip(" %")) / 100
        for line in told.splitlines()
        if line.startswith("coverage of reference")
    ]


@pytest.mark.parametrize("name", EXAMPLE_FILES)
def test_it_runs_and_shows_its_results(server_with_files: ComfyServer, name: str):
    prompt = small(name)
    if nodes_of(prompt, "AnimaFastTrainLoadContext"):
        save_contexts(server_with_files)
    finished = server_with_files.run_well(prompt)
    results = shown(prompt, finished)
    assert results and all(results.values())
    for id, node in prompt.items():
        if node["class_type"] == "SaveImage":
            assert server_with_files.picture(finished, id).shape[:2] == (128, 128)


def save_contexts(server: ComfyServer) -> None:
    """What the first example saves, also under the other names that examples load."""
    server.run_well(small("your_character_from_one_picture"))
    first, *others = [server.base / "models" / name for name in SAVED_CONTEXTS]
    for other in others:
        shutil.copy(first, other)


def test_two_regions_show_what_each_of_their_contexts_brings(server_with_files: ComfyServer):
    save_contexts(server_with_files)
    prompt = small("two_characters_by_regions")
    (saved,) = (id for id, node in prompt.items() if node["class_type"] == "SaveImage")
    (sampler,) = nodes_of(prompt, "KSampler")
    sampler["inputs"]["steps"] = 1  # later steps carry each half's context on into the other

    def drawn(left: float, right: float) -> numpy.ndarray:
        for node, scale in zip(nodes_of(prompt, "AnimaFastTrainApplyContext"), (left, right), strict=True):
            node["inputs"]["reference_context_scale"] = scale
        return server_with_files.latent(server_with_files.run_well(prompt | latent), "latent")

    latent = {
        "latent": {
            "class_type": "SaveLatent",
            "inputs": {"samples": [decoded_from(prompt), 0], "filename_prefix": "tests/latent"},
        }
    }
    del prompt[saved]
    neither, left, right, both = (drawn(*scales) for scales in ((0, 0), (1, 0), (0, 1), (1, 1)))
    middle = neither.shape[-1] // 2
    for changed, own, other in (
        (left, slice(0, middle), slice(middle, None)),
        (right, slice(middle, None), slice(0, middle)),
    ):
        assert numpy.abs(changed - neither)[..., own].max() > 1e-3
        numpy.testing.assert_allclose(changed[..., other], neither[..., other], atol=1e-3)
        numpy.testing.assert_allclose(both[..., own], changed[..., own], atol=1e-3)


def decoded_from(prompt: dict[str, dict]) -> str:
    (decode,) = nodes_of(prompt, "VAEDecode")
    return decode["inputs"]["samples"][0]


def test_the_first_run_learns_the_bundled_drawing_and_then_the_artists_own_picture(server_with_files: ComfyServer):
    prompt = small("your_character_from_one_picture")
    (example,) = nodes_of(prompt, "AnimaFastTrainExampleReference")
    (bundled,) = coverages(texts(server_with_files, prompt))
    assert 0.25 < bundled < 0.5
    own = next(id for id, node in prompt.items() if node["class_type"] == "LoadImage")
    example["inputs"] |= {"own_image": [own, 0], "own_mask": [own, 1]}
    assert coverages(texts(server_with_files, prompt)) == pytest.approx([CHARACTER], abs=0.02)


def test_a_cut_out_is_learned_and_not_the_transparency_around_it(server_with_files: ComfyServer):
    (learned,) = coverages(texts(server_with_files, small("a_cut_out_character")))
    assert learned == pytest.approx(CHARACTER, abs=0.02)


def test_two_pictures_of_different_shapes_are_learned_each_with_its_mask(server_with_files: ComfyServer):
    told = texts(server_with_files, small("two_pictures_of_one_character"))
    assert "references: 2" in told
    assert coverages(told) == pytest.approx([CHARACTER, CHARACTER], abs=0.02)


def test_a_folder_is_learned_with_its_masks_and_captions(server_with_files: ComfyServer):
    told = texts(server_with_files, small("a_folder_with_masks_and_captions"))
    assert "2 references from 'references', 0 broken files" in told
    for name, caption in CAPTIONS.items():
        assert f"{name}: {caption}" in told
    assert coverages(told) == pytest.approx([CHARACTER, CHARACTER], abs=0.02)


def test_a_collage_is_learned_as_one_picture_under_all_captions(server_with_files: ComfyServer):
    prompt = small("three_pictures_in_one_collage")
    captions = [node["inputs"]["caption"] for node in nodes_of(prompt, "AnimaFastTrainAddReference")]
    told = texts(server_with_files, prompt)
    assert "references: 1" in told
    assert all(tag in told for caption in captions for tag in caption.split(", "))
    (learned,) = coverages(told)
    assert 0 < learned < CHARACTER  # there is space between the pictures
    # The wire, not the widget, says under which words the collage is trained.
    (training,) = nodes_of(prompt, "AnimaFastTrainMaskedReferenceContext")
    assert prompt[training["inputs"]["training_prompt"][0]]["class_type"] == "AnimaFastTrainReferenceCollage"


def test_a_crop_fills_the_frame_with_what_is_learned(server_with_files: ComfyServer):
    (whole,), (cropped,) = (
        coverages(texts(server_with_files, small(name)))
        for name in ("check_the_mask_and_the_loss", "a_small_character_in_a_large_picture")
    )
    assert whole == pytest.approx(CHARACTER, abs=0.02)
    # The ellipse is 0.8 high; with 0.15 of that on each side, the crop is 0.84 wide and as high as the picture.
    assert cropped == pytest.approx(whole / 0.84, abs=0.02)


WITHOUT_PREPARATION = {
    "two_pictures_of_one_character": "the mask of 'reference' selects nothing",
    "three_pictures_in_one_collage": "the mask of 'reference' selects nothing",
    "a_small_character_in_a_large_picture": "the mask of 'reference' selects nothing",
    "a_cut_out_character": "black everywhere, as Load Image gives it for a picture without transparency",
    "a_folder_with_masks_and_captions": "folder 'my pictures' is not there: make the folder",
}


@pytest.mark.parametrize("name", WITHOUT_PREPARATION)
def test_what_was_not_brought_is_said_in_one_sentence(server_with_files: ComfyServer, name: str):
    prompt = small(name)
    for node in nodes_of(prompt, "LoadImage"):
        node["inputs"]["image"] = "not-painted.png"
    for node in nodes_of(prompt, "AnimaFastTrainLoadReferenceFolder"):
        node["inputs"]["folder"] = "my pictures"
    finished = server_with_files.run(prompt)
    assert finished.status == "error"
    assert WITHOUT_PREPARATION[name] in finished.error and "\n" not in finished.error


@pytest.mark.parametrize("path", OLD, ids=lambda path: path.stem)
def test_a_workflow_of_version_0_1_still_runs(server_with_files: ComfyServer, path: Path):
    if path.stem == "load_context":  # loads what the other saves
        server_with_files.run_well(smaller(OLD[0].with_stem("save_context")))
    prompt = smaller(path, BROUGHT_THEN.get(path.stem, []))
    results = shown(prompt, server_with_files.run_well(prompt))
    assert results and all(results.values())
