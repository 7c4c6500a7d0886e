"""What an artist types into the search of nodes brings the right one first or second; the blueprint is in the library,
and sockets tell their types apart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from comfyui_installation import HOW_TO_GET_IT, find_installation
from example_server import configure_frontend, example_server
from frontend_page import SETTINGS, FrontendPage

SCREENSHOTS = Path(__file__).parent / "output" / "finding"
BLUEPRINT = "Character from a masked picture"
# Each of these brings it first or second.
SEARCHES = {
    "mask train": "Anima MaskTrain",
    "anima": "Anima MaskTrain",
    "character": BLUEPRINT,
    "ipadapter": "Anima MaskTrain",
    "train lora": "MaskTrain LoRA",
    "save character": "Save Context",
    "check mask": "Preview Training Mask",
    "loss curve": "Plot Training",
    "two characters": "Apply Context to Conditioning",
    "merge context": "Merge Contexts",
}
OWN_TYPES = (
    "ANIMA_REFERENCE_CONTEXT",
    "ANIMA_REFERENCES",
    "ANIMA_TRAINING_OPTIONS",
    "ANIMA_CONTEXT_SCHEDULE",
    "LOSS_MAP",
)
GRAY = {"#AAA", "#aaa", "#999", "", None}


@pytest.fixture(scope="module", params=["own", "newest"])
def page_of(
    request: pytest.FixtureRequest, browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FrontendPage]:
    """A page of a real ComfyUI with the frontend that it brings, and with the one of this environment."""
    installation = find_installation()
    if installation is None:
        pytest.skip(HOW_TO_GET_IT)
    frontend = request.getfixturevalue("frontend_files") if request.param == "newest" else None
    server = example_server(installation, installation.make_checkpoints(), tmp_path_factory.mktemp("finding"), frontend)
    configure_frontend(server, SETTINGS)
    with server:
        page = FrontendPage(browser, server.address, served_by=request.param)
        yield page
        page.page.close()


@pytest.fixture
def artist(page_of: FrontendPage) -> FrontendPage:
    page_of.page.keyboard.press("Escape")
    # A search that is closing is still seen, and would be taken for one to type into.
    page_of.page.get_by_role("combobox").first.wait_for(state="hidden")
    page_of.open_blank_workflow()
    return page_of


def search(artist: FrontendPage, words: str, expected: str) -> list[str]:
    """The titles that the search brings, in their order, once `expected` is among them."""
    page = artist.page
    box = page.get_by_role("combobox").first
    if not box.is_visible():
        page.evaluate("() => window.app.extensionManager.command.execute('Workspace.SearchBox.Toggle')")
    box.fill(words)
    page.get_by_test_id("result-item").filter(has_text=expected).first.wait_for()
    return [text.split("\n")[0] for text in page.get_by_test_id("result-item").all_inner_texts()]


def test_the_right_node_is_first_or_second(artist: FrontendPage) -> None:
    found = {words: search(artist, words, expected)[:2] for words, expected in SEARCHES.items()}
    artist.screenshot(SCREENSHOTS / f"search_{artist.served_by}.png")
    assert {words: titles for words, titles in found.items() if SEARCHES[words] not in titles} == {}


def test_the_blueprint_is_one_node_that_sends_the_whole_path(artist: FrontendPage) -> None:
    page = artist.page
    search(artist, "character from", BLUEPRINT)
    page.get_by_test_id("result-item").filter(has_text=BLUEPRINT).first.click()
    page.get_by_test_id("result-item").first.wait_for(state="detached")
    page.mouse.move(800, 300)
    page.mouse.click(800, 300)  # where frontends let the node hang on the pointer until then
    page.wait_for_function("() => window.app.graph.nodes.length === 1")
    [inputs, outputs, widgets] = page.evaluate(
        """() => { const node = window.app.graph.nodes[0]
            return [node.inputs.map((one) => one.name), node.outputs.map((one) => one.name),
                node.widgets.map((one) => one.name)] }"""
    )
    assert inputs[:5] == ["picture", "mask", "model", "clip", "vae"]
    assert outputs == ["picture", "context", "info"]
    assert {"training_prompt", "what_to_draw", "train_steps", "width", "height", "seed"} <= set(widgets)
    artist.run("show_whole_graph.js")
    artist.screenshot(SCREENSHOTS / f"blueprint_{artist.served_by}.png")
    sent = json.loads(page.evaluate("async () => JSON.stringify((await window.app.graphToPrompt()).output)"))
    assert sorted(node["class_type"] for node in sent.values()) == [
        "AnimaFastTrainMaskedReferenceContext",
        "AnimaFastTrainPatchModel",
        "CLIPTextEncode",
        "CLIPTextEncode",
        "EmptyLatentImage",
        "KSampler",
        "VAEDecode",
    ]
    assert artist.errors == []


def test_sockets_of_our_types_have_colours_of_their_own(artist: FrontendPage) -> None:
    """On the canvas and in what Vue draws, also after another palette was chosen."""
    page = artist.page
    for palette in ("dark", "light"):
        page.evaluate("(name) => window.app.extensionManager.setting.set('Comfy.ColorPalette', name)", palette)
        on_canvas, in_vue = page.evaluate(
            """(types) => {
                const style = getComputedStyle(document.documentElement)
                return [types.map((type) => window.app.canvas.default_connection_color_byType[type]),
                    types.map((type) => style.getPropertyValue(`--color-datatype-${type}`).trim())] }""",
            list(OWN_TYPES),
        )
        assert not set(on_canvas) & GRAY and len(set(on_canvas)) == len(OWN_TYPES), palette
        assert in_vue == on_canvas
    page.evaluate("() => window.app.extensionManager.setting.set('Comfy.ColorPalette', 'dark')")
