"""An artist paints a mask in ComfyUI's own editor: training sees the picture as it was, and what cannot be learned is
said where it happens."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy
import pytest
from comfyui_installation import HOW_TO_GET_IT, find_installation
from comfyui_server import ComfyServer
from example_server import configure_frontend
from frontend_page import SETTINGS, FrontendPage
from graph_parts import Group, Node
from mask_editor import Stroke, paint_mask, save_mask
from PIL import Image

SCREENSHOTS = Path(__file__).parent / "output" / "painting"
WIDTH, HEIGHT = 640, 480  # not square, as Load Image's empty mask is
FIRST: list[Stroke] = [[(200, 100), (320, 240), (220, 360)]]
SECOND: list[Stroke] = [[(440, 100), (480, 380)]]
UNPAINTED = "No mask is painted yet: right-click Load Image, choose Open in MaskEditor, paint over the character"
PREVIEW_NODE = "window.app.graph.nodes.find((node) => node.type === 'AnimaFastTrainPreviewMask')"
SENTENCE = f"{PREVIEW_NODE}?.widgets?.find((widget) => widget.name === 'anima_error_sentence')"


@pytest.fixture(scope="module", params=["own", "newest"])
def painting_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, ComfyServer]]:
    """A real ComfyUI with the frontend that it brings, and with the one of this environment; nothing here needs a
    model."""
    installation = find_installation()
    if installation is None:
        pytest.skip(HOW_TO_GET_IT)
    frontend = request.getfixturevalue("frontend_files") if request.param == "newest" else None
    folder = tmp_path_factory.mktemp("painting")
    server = ComfyServer(installation, folder / "models", folder / "comfyui", frontend)
    Image.fromarray(colours()).save(server.base / "input" / "character.png")
    shutil.copy(installation.folder / "input" / "example.png", server.base / "input")
    configure_frontend(server, SETTINGS)
    with server:
        yield request.param, server


@pytest.fixture(params=["classic", "vue"])
def artist(request: pytest.FixtureRequest, browser, painting_server: tuple[str, ComfyServer]) -> Iterator[FrontendPage]:
    """A page with Load Image wired to Preview Training Mask, whose nodes are drawn on the canvas or by Vue."""
    served_by, server = painting_server
    page = FrontendPage(browser, server.address, served_by=f"{served_by}_{request.param}")
    page.page.evaluate(
        "(on) => window.app.extensionManager.setting.set('Comfy.VueNodes.Enabled', on)", request.param == "vue"
    )
    page.open_blank_workflow()
    columns = [
        [Group("", "", [[Node("picture", "LoadImage", {"image": "character.png"}, size=(330, 420))]])],
        [
            Group(
                "",
                "",
                [
                    [
                        Node("preview", "AnimaFastTrainPreviewMask", {"training_image_size": 256}, size=(400, 300)),
                        Node("seen", "SaveImage", size=(300, 300)),
                    ]
                ],
            )
        ],
    ]
    links = [
        ("picture", "IMAGE", "preview", "reference_image"),
        ("picture", "MASK", "preview", "training_mask"),
        ("picture", "IMAGE", "seen", "images"),
    ]
    page.run(
        "build_graph.js",
        {"id": "painting", "columns": [[asdict(group) for group in column] for column in columns], "links": links},
    )
    page.wait_for_pictures()
    yield page
    page.page.close()


def colours() -> numpy.ndarray:
    """[H,W,3] without a black pixel, and no two places alike."""
    rows, columns = numpy.mgrid[0:HEIGHT, 0:WIDTH]
    return numpy.stack(
        [rows * 200 // HEIGHT + 40, columns * 200 // WIDTH + 40, (rows + columns) % 180 + 60], -1
    ).astype(numpy.uint8)


def run(artist: FrontendPage) -> tuple[str, dict[str, list[dict]]]:
    """Press Run; the name of the event that ended it, and what the nodes showed by their type."""
    return artist.page.evaluate(
        """() => new Promise((resolve) => {
            const shown = {}
            const typeOf = (id) => window.app.graph.getNodeById(id)?.type
            const onExecuted = ({ detail }) => { shown[typeOf(detail.node)] = detail.output?.images }
            window.app.api.addEventListener('executed', onExecuted)
            for (const name of ['execution_success', 'execution_error']) {
                window.app.api.addEventListener(name, () => {
                    window.app.api.removeEventListener('executed', onExecuted)
                    resolve([name, shown])
                }, { once: true })
            }
            window.app.queuePrompt(0)
        })"""
    )


def picture_of(server: ComfyServer, shown: list[dict]) -> numpy.ndarray:
    """[H,W,3] of what a node showed."""
    [image] = shown
    folder = server.base / image["type"] / image["subfolder"]
    return numpy.asarray(Image.open(folder / image["filename"]).convert("RGB"))


def paint(artist: FrontendPage, strokes: list[Stroke], photograph: str) -> str:
    before = paint_mask(artist, WIDTH, strokes, brush=30)
    artist.screenshot(SCREENSHOTS / artist.served_by / f"{photograph}.png")
    return save_mask(artist, before)


def alpha_of(server: ComfyServer, name: str) -> numpy.ndarray:
    return numpy.asarray(Image.open(server.base / "input" / name))[..., 3]


def test_training_sees_the_picture_that_was_painted_on(
    artist: FrontendPage, painting_server: tuple[str, ComfyServer]
) -> None:
    """Also after a second painting, which the editor begins with the file of the first."""
    _, server = painting_server
    covered = 0
    for number, strokes in enumerate((FIRST, SECOND), 1):
        name = paint(artist, strokes, f"editor_{number}")
        painted = int((alpha_of(server, name) == 0).sum())
        assert painted > covered + 5000, "the mouse painted"
        covered = painted
        ended, shown = run(artist)
        assert ended == "execution_success"
        assert numpy.array_equal(picture_of(server, shown["SaveImage"]), colours()), "the IMAGE of Load Image"
        sheet = picture_of(server, shown["AnimaFastTrainPreviewMask"])
        assert not (sheet[20:200, 20:200] == 0).all(axis=-1).any(), "the picture on the left, as training frames it"
    artist.run("show_whole_graph.js")
    artist.screenshot(SCREENSHOTS / artist.served_by / "painted.png")
    assert artist.errors == []


def test_the_sentence_of_a_refusal_is_in_a_toast_and_on_the_node_until_the_next_run(
    artist: FrontendPage, painting_server: tuple[str, ComfyServer]
) -> None:
    page = artist.page
    widgets = saved_widgets(artist)
    height = page.evaluate(f"() => {PREVIEW_NODE}.size[1]")
    assert run(artist)[0] == "execution_error"
    page.get_by_role("alert").filter(has_text=UNPAINTED).first.wait_for()
    page.wait_for_function(f"(text) => {SENTENCE}?.element.innerText.startsWith(text)", arg=UNPAINTED)
    page.locator(".anima-error").filter(has_text=UNPAINTED).wait_for()
    artist.run("show_whole_graph.js")
    artist.screenshot(SCREENSHOTS / artist.served_by / "refused.png")
    box = page.locator(".anima-error").bounding_box()
    assert box is not None and box["width"] > 100 and box["height"] > 40, "large enough to be read"
    assert saved_widgets(artist) == widgets

    paint(artist, FIRST, "editor_after_refusal")
    assert run(artist)[0] == "execution_success"
    page.wait_for_function(f"() => !({SENTENCE})")
    page.locator(".anima-error").wait_for(state="detached")
    assert page.evaluate(f"() => {PREVIEW_NODE}.size[1]") >= height
    artist.screenshot(SCREENSHOTS / artist.served_by / "after_refusal.png")
    assert artist.errors == []


def test_the_sentence_comes_back_with_its_tab(artist: FrontendPage) -> None:
    assert run(artist)[0] == "execution_error"
    artist.page.wait_for_function(f"() => Boolean({SENTENCE})")
    artist.open_blank_workflow()
    artist.page.evaluate("() => window.app.extensionManager.command.execute('Workspace.PreviousOpenedWorkflow')")
    artist.page.wait_for_function(f"(text) => {SENTENCE}?.element.innerText.startsWith(text)", arg=UNPAINTED)


def saved_widgets(artist: FrontendPage) -> dict[str, list]:
    saved = artist.page.evaluate("async () => (await window.app.graphToPrompt()).workflow.nodes")
    return {node["type"]: node.get("widgets_values") for node in saved}
