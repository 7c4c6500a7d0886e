"""The first workflow runs as it is, its boxes hold what the nodes grow to, and one's own picture takes two wires."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from comfyui_installation import HOW_TO_GET_IT, find_installation
from example_server import configure_frontend, example_server
from frontend_page import SETTINGS, FrontendPage
from saved_workflow import EXAMPLE_FILES

SCREENSHOTS = Path(__file__).parent / "output" / "first_run"
FIRST = EXAMPLE_FILES["your_character_from_one_picture"]
# Small, and without trials of rates and backgrounds that the model draws, which take minutes on a CPU.
SMALL = {
    "training_image_size": 64,
    "train_steps": 4,
    "learning_rate": "0.01",
    "aim": "this picture, most detail",
    "width": 64,
    "height": 64,
    "steps": 2,
    "control_after_generate": "fixed",
}
RUN = """() => new Promise((resolve) => {
    const ran = []
    window.app.api.addEventListener('executing', ({ detail }) => ran.push(window.app.graph.getNodeById(detail)?.type))
    for (const name of ['execution_success', 'execution_error'])
        window.app.api.addEventListener(
            name, ({ detail }) => resolve([name, detail.exception_message ?? '', ran]), { once: true })
    window.app.queuePrompt(0)
})"""
# Nodes of the graph that stick out of the box that they were put into.
STICKING_OUT = """() => window.app.graph.groups.flatMap((group) => {
    const [x, y, width, height] = group._bounding
    return window.app.graph.nodes
        .filter((node) => node.pos[0] >= x && node.pos[0] < x + width && node.pos[1] >= y && node.pos[1] < y + height)
        .filter((node) => node.pos[0] + node.size[0] > x + width || node.pos[1] + node.size[1] > y + height)
        .map((node) => node.title)
})"""


@pytest.fixture(scope="module", params=["own", "newest"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A real ComfyUI with the frontend that it brings, and with the one of this environment."""
    installation = find_installation()
    if installation is None:
        pytest.skip(HOW_TO_GET_IT)
    frontend = request.getfixturevalue("frontend_files") if request.param == "newest" else None
    folder = tmp_path_factory.mktemp("first_run")
    server = example_server(installation, installation.make_checkpoints(), folder, frontend)
    configure_frontend(server, SETTINGS)
    with server:
        yield request.param, server.address


@pytest.fixture(params=["classic", "vue"])
def artist(request: pytest.FixtureRequest, browser, served: tuple[str, str]) -> Iterator[FrontendPage]:
    """The first workflow, open, made small enough for a CPU."""
    name, address = served
    page = FrontendPage(browser, address, served_by=f"{name}_{request.param}")
    page.page.evaluate(
        "(on) => window.app.extensionManager.setting.set('Comfy.VueNodes.Enabled', on)", request.param == "vue"
    )
    page.drop(FIRST.stem, FIRST.read_text(encoding="utf-8"))
    page.page.evaluate(
        """(small) => { for (const node of window.app.graph.nodes) for (const widget of node.widgets ?? [])
            if (widget.name in small) widget.value = small[widget.name] }""",
        # What was trained at one size is not trained again.
        {**SMALL, "training_image_size": 80 if request.param == "vue" else 64},
    )
    yield page
    page.page.close()


def photograph(artist: FrontendPage, name: str) -> None:
    artist.run("show_whole_graph.js")
    artist.screenshot(SCREENSHOTS / artist.served_by / f"{name}.png")


def test_the_first_run_succeeds_and_grows_into_its_boxes(artist: FrontendPage) -> None:
    photograph(artist, "opened")
    ended, why, ran = artist.page.evaluate(RUN)
    assert ended == "execution_success", why
    assert ran.index("AnimaFastTrainPreviewMask") < ran.index("AnimaFastTrainMaskedReferenceContext")
    artist.page.wait_for_function(
        "() => { const node = window.app.graph.nodes.find((one) => one.type === 'AnimaFastTrainPreviewMask')\n"
        "return node.imgs?.length || window.app.nodeOutputs?.[node.id]?.images?.length }"
    )
    photograph(artist, "first_run")
    assert artist.page.evaluate(STICKING_OUT) == []
    assert artist.errors == []


def test_ones_own_picture_takes_two_wires_and_asks_for_its_mask(artist: FrontendPage) -> None:
    artist.page.evaluate(
        """() => {
            const of = (type) => window.app.graph.nodes.find((node) => node.type === type)
            const [loader, example] = [of('LoadImage'), of('AnimaFastTrainExampleReference')]
            const at = (slots, name) => slots.findIndex((slot) => slot.name === name)
            for (const [output, input] of [['IMAGE', 'own_image'], ['MASK', 'own_mask']])
                loader.connect(at(loader.outputs, output), example, at(example.inputs, input))
        }"""
    )
    ended, why, _ = artist.page.evaluate(RUN)
    assert ended == "execution_error" and why.startswith("no mask is painted yet")
    photograph(artist, "own_picture_without_mask")
