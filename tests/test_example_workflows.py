"""Every example workflow is whole, judged by the recorded /object_info: no ComfyUI and no browser needed."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from photographs import SHOWN, fingerprint, signed_as
from saved_workflow import (
    AFTER_GENERATE,
    EXAMPLE_FILES,
    EXAMPLES,
    NOTES,
    SavedWorkflow,
    inputs_of,
    recorded_object_info,
)

OBJECT_INFO = recorded_object_info()
LARGEST_THUMBNAIL = 150_000  # bytes
LOADERS = {
    "UNETLoader": "unet_name",
    "CLIPLoader": "clip_name",
    "VAELoader": "vae_name",
    "CheckpointLoaderSimple": "ckpt_name",
}
# Where official files lie: Anima's by their folders, those of other families by themselves.
SOURCES = (
    "circlestone-labs/Anima/resolve/main/split_files/{directory}/{name}",
    "stabilityai/stable-diffusion-xl-base-1.0/resolve/main/{name}",
    "Comfy-Org/stable-diffusion-v1-5-archive/resolve/main/{name}",
    "lodestones/Chroma1-HD/resolve/main/{name}",
    "comfyanonymous/flux_text_encoders/resolve/main/{name}",
    "Comfy-Org/Lumina_Image_2.0_Repackaged/resolve/main/split_files/vae/{name}",
)


@pytest.fixture(params=EXAMPLES, ids=lambda path: path.stem)
def workflow(request: pytest.FixtureRequest) -> SavedWorkflow:
    return SavedWorkflow(request.param, OBJECT_INFO)


def test_they_are_numbered_without_a_gap_and_their_names_say_what_one_gets() -> None:
    # The template browser shows the name alone, and sorts by it where it is told to.
    assert [path.stem[:3] for path in EXAMPLES] == [f"{number:02}_" for number in range(1, len(EXAMPLES) + 1)]
    assert all(re.fullmatch(r"\d\d(_[a-z]+){3,}", path.stem) for path in EXAMPLES)


def test_there_is_an_example_for_every_task() -> None:
    assert EXAMPLE_FILES.keys() >= {
        "your_character_from_one_picture",
        "draw_a_saved_character",
        "a_cut_out_character",
        "a_small_character_in_a_large_picture",
        "two_pictures_of_one_character",
        "a_folder_with_masks_and_captions",
        "three_pictures_in_one_collage",
        "learn_a_whole_picture_or_style",
        "check_the_mask_and_the_loss",
        "watch_training_and_compare",
        "one_character_in_four_poses",
        "two_characters_by_regions",
        "let_go_of_the_context_near_the_end",
        "a_character_and_a_style_in_one_context",
        "your_character_as_a_masked_lora",
        "a_character_for_sdxl",
        "a_pair_of_embeddings_for_sd",
        "a_collage_as_a_chroma_lora",
    }


def test_the_first_fits_on_a_screen() -> None:
    content = SavedWorkflow(EXAMPLES[0], OBJECT_INFO).content
    boxes = [(node["pos"][0], node["size"][0]) for node in content["nodes"]]
    boxes += [(group["bounding"][0], group["bounding"][2]) for group in content["groups"]]
    assert max(left + width for left, width in boxes) - min(left for left, _ in boxes) <= 1700


@pytest.mark.parametrize("name", SHOWN)
def test_photographs_show_the_files_as_they_are(name: str) -> None:
    assert signed_as(name) == fingerprint(name), "take it anew: python tests/browser/build_screenshots.py"


def test_all_node_types_are_known(workflow: SavedWorkflow) -> None:
    assert {node["type"] for node in workflow.nodes.values()} <= OBJECT_INFO.keys() | NOTES


def test_both_ends_of_every_link_agree(workflow: SavedWorkflow) -> None:
    for link in workflow.links.values():
        output = workflow.nodes[link.origin]["outputs"][link.output]
        socket = workflow.nodes[link.target]["inputs"][link.input]
        assert link.id in output["links"] and link.id == socket["link"], link
        assert link.type == output["type"], link
        assert socket["type"] in (output["type"], "*"), link


def test_every_socket_leads_to_a_link(workflow: SavedWorkflow) -> None:
    named = {
        socket["link"]
        for node in workflow.nodes.values()
        for socket in node.get("inputs", [])
        if socket.get("link") is not None
    }
    named |= {
        link for node in workflow.nodes.values() for output in node.get("outputs", []) for link in output["links"] or []
    }
    assert named == workflow.links.keys()


def test_sockets_are_those_of_the_node_type(workflow: SavedWorkflow) -> None:
    for node in workflow.executed_nodes.values():
        definition = workflow.definition(node)
        assert [output["type"] for output in node.get("outputs", [])] == definition["output"], node["type"]
        sockets = {each.name: each for each in inputs_of(definition) if not each.is_widget}
        # A widget has a socket of its own once something is wired to it.
        widgets = {each.name: each for each in inputs_of(definition) if each.is_widget}
        for socket in node.get("inputs", []):
            if "widget" in socket:
                assert socket["name"] == socket["widget"]["name"] and socket["type"] == widgets[socket["name"]].kind, (
                    node["type"],
                    socket,
                )
                continue
            growing = sockets.get(socket["name"].split(".")[0])
            assert growing is not None, (node["type"], socket["name"])
            assert socket["type"] in (growing.kind, *growing_types(growing.options)), (node["type"], socket)


def growing_types(options: dict) -> list[str]:
    """The types that the sockets of a growing input may have."""
    template = options.get("template", {}).get("input", {}).get("required", {})
    return [spec[0] for spec in template.values()]


def test_every_required_socket_is_connected(workflow: SavedWorkflow) -> None:
    for node in workflow.executed_nodes.values():
        connected = {
            socket["name"].split(".")[0] for socket in node.get("inputs", []) if socket.get("link") is not None
        }
        required = {each.name for each in inputs_of(workflow.definition(node)) if each.required and not each.is_widget}
        assert required <= connected, node["type"]


def test_every_widget_value_is_in_range(workflow: SavedWorkflow) -> None:
    for node in workflow.executed_nodes.values():
        inputs = {each.name: each for each in inputs_of(workflow.definition(node))}
        for name, value in workflow.widgets(node).items():
            if name in inputs:
                assert inputs[name].problem_with(value) == "", f"{node['type']}.{name}"
            elif name == AFTER_GENERATE:
                assert value in ("fixed", "increment", "decrement", "randomize")


def test_training_is_not_repeated_by_a_seed_that_changes_by_itself(workflow: SavedWorkflow) -> None:
    for node in workflow.executed_nodes.values():
        if node["type"].startswith("AnimaFastTrain") and node["type"].endswith(("ReferenceContext", "MaskedLora")):
            assert workflow.widgets(node)[AFTER_GENERATE] == "fixed"


def test_official_files_come_with_their_links(workflow: SavedWorkflow) -> None:
    for node in workflow.executed_nodes.values():
        if node["type"] in LOADERS:
            (file,) = node["properties"]["models"]
            assert file["name"] == workflow.widgets(node)[LOADERS[node["type"]]]
            assert file["url"] in [f"https://huggingface.co/{source.format_map(file)}" for source in SOURCES]


def test_a_fresh_comfyui_has_every_picture(workflow: SavedWorkflow) -> None:
    # ComfyUI has no place for the pictures of an example: a name that is not in the input folder opens as an error.
    named = {
        workflow.widgets(node)["image"] for node in workflow.executed_nodes.values() if node["type"] == "LoadImage"
    }
    assert named <= {"example.png"}


def test_a_note_tells_what_to_do(workflow: SavedWorkflow) -> None:
    (note,) = [node for node in workflow.nodes.values() if node["type"] in NOTES]
    assert "Press **Run**" in note["widgets_values"][0] or "play button" in note["widgets_values"][0]


def test_nodes_do_not_overlap(workflow: SavedWorkflow) -> None:
    boxes = [(node["id"], *node["pos"], *node["size"]) for node in workflow.nodes.values()]
    for one, x, y, width, height in boxes:
        for other, left, top, other_width, other_height in boxes:
            apart = (
                x + width <= left or left + other_width <= x or y + height <= top - 30 or top + other_height <= y - 30
            )
            assert one == other or apart, f"nodes {one} and {other}"


def test_thumbnail_lies_beside(workflow: SavedWorkflow) -> None:
    thumbnail = workflow.path.with_suffix(".jpg")
    assert thumbnail.stat().st_size < LARGEST_THUMBNAIL
    with Image.open(thumbnail) as image:
        assert image.format == "JPEG" and image.size == (800, 800)  # the browser of templates shows squares
