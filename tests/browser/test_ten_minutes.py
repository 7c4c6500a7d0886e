"""The artist's first ten minutes, played from beginning to end: a template, its first Run, one's own picture and mask,
new prompts and scales, a cancel, finish now, and the saved character drawn again."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from comfyui_installation import HOW_TO_GET_IT, find_installation
from comfyui_server import ComfyServer
from example_server import PACK_FOLDER, configure_frontend, example_server
from frontend_page import SETTINGS, FrontendPage
from mask_editor import Stroke, paint_mask, save_mask
from played_run import phase, run, wait_for_end, wait_for_step

SCREENSHOTS = Path(__file__).parent / "output" / "ten_minutes"
FIRST, AGAIN = "01_your_character_from_one_picture", "02_draw_a_saved_character"
TRAIN, LOAD = "AnimaFastTrainMaskedReferenceContext", "AnimaFastTrainLoadContext"
CONTEXTS = "models/anima_contexts"
LONG = 2000  # steps; ended once there is something to see
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
PICTURE_WIDTH = 768  # of ComfyUI's example.png, over whose character this goes
STROKES: list[Stroke] = [[(300, 200), (480, 220), (385, 300), (385, 640)], [(215, 368), (575, 360)]]
BRUSH = 60


@pytest.fixture(scope="module", params=["own", "newest"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, ComfyServer]]:
    """A real ComfyUI with the frontend that it brings, and with the one of this environment."""
    installation = find_installation()
    if installation is None:
        pytest.skip(HOW_TO_GET_IT)
    frontend = request.getfixturevalue("frontend_files") if request.param == "newest" else None
    folder = tmp_path_factory.mktemp("ten_minutes")
    server = example_server(installation, installation.make_checkpoints(), folder, frontend)
    configure_frontend(server, SETTINGS)
    with server:
        yield request.param, server


@pytest.fixture(params=["classic", "vue"])
def artist(request: pytest.FixtureRequest, browser, served: tuple[str, ComfyServer]) -> Iterator[FrontendPage]:
    name, server = served
    page = FrontendPage(browser, server.address, served_by=f"{name}_{request.param}")
    page.page.evaluate(
        "(on) => window.app.extensionManager.setting.set('Comfy.VueNodes.Enabled', on)", request.param == "vue"
    )
    yield page
    page.page.close()


def open_template(artist: FrontendPage, name: str) -> None:
    """Choose it in the template browser, among those of this pack."""
    page = artist.page
    page.evaluate("() => window.app.extensionManager.command.execute('Comfy.BrowseTemplates')")
    page.get_by_text(PACK_FOLDER, exact=True).first.click()
    page.locator("[role=dialog]").get_by_text(name, exact=True).first.click()
    page.wait_for_function(
        "(name) => window.app.extensionManager.workflow.activeWorkflow?.filename.startsWith(name)", arg=name
    )
    artist.wait_for_pictures()


def change(artist: FrontendPage, kind: str, **widgets: object) -> None:
    """Type into the widgets of all nodes of a kind; "" are all kinds."""
    artist.page.evaluate(
        """([kind, given]) => { for (const node of window.app.graph.nodes) if (!kind || node.type === kind)
            for (const widget of node.widgets ?? []) if (widget.name in given) widget.value = given[widget.name] }""",
        [kind, widgets],
    )


def wire_own_picture(artist: FrontendPage) -> None:
    artist.page.evaluate(
        """() => {
            const of = (type) => window.app.graph.nodes.find((node) => node.type === type)
            const [loader, example] = [of('LoadImage'), of('AnimaFastTrainExampleReference')]
            const at = (slots, name) => slots.findIndex((slot) => slot.name === name)
            for (const [output, input] of [['IMAGE', 'own_image'], ['MASK', 'own_mask']])
                loader.connect(at(loader.outputs, output), example, at(example.inputs, input))
        }"""
    )


def play(artist: FrontendPage, name: str, ends: str = "execution_success") -> list[str]:
    """Run to the end and photograph it; the types of the nodes that ran."""
    run(artist)
    return played(artist, name, ends)


def played(artist: FrontendPage, name: str, ends: str = "execution_success") -> list[str]:
    ended = wait_for_end(artist)
    assert ended == ends, artist.page.evaluate("() => window.why")
    photograph(artist, name)
    return artist.page.evaluate("() => window.ran")


def photograph(artist: FrontendPage, name: str) -> None:
    artist.run("show_whole_graph.js")
    artist.screenshot(SCREENSHOTS / artist.served_by / f"{name}.png")


def test_the_first_ten_minutes(artist: FrontendPage, served: tuple[str, ComfyServer]) -> None:
    _, server = served
    open_template(artist, FIRST)
    # What was trained before is found again, so each artist has a seed of its own.
    change(artist, "", **SMALL)
    change(artist, TRAIN, seed=uuid.uuid4().int % 10**9)
    photograph(artist, "01_template")
    assert TRAIN in play(artist, "02_first_run")

    wire_own_picture(artist)
    play(artist, "03_own_picture_without_mask", ends="execution_error")
    assert artist.page.evaluate("() => window.why").startswith("no mask is painted yet")
    before = paint_mask(artist, PICTURE_WIDTH, STROKES, BRUSH)
    photograph(artist, "04_painting")
    save_mask(artist, before)
    run(artist)
    artist.page.get_by_role("alert").filter(has_text="No mask is painted").first.wait_for(state="detached")
    assert TRAIN in played(artist, "05_own_picture")

    change(artist, "CLIPTextEncode", text="1girl, solo, running, beach")
    ran = play(artist, "06_other_prompt")
    assert "KSampler" in ran and TRAIN not in ran
    change(artist, "AnimaFastTrainPatchModel", reference_context_scale=0.5)
    ran = play(artist, "07_other_scale")
    assert "KSampler" in ran and TRAIN not in ran

    change(artist, TRAIN, seed=uuid.uuid4().int % 10**9, train_steps=LONG)
    run(artist)
    wait_for_step(artist, 2)
    photograph(artist, "08_training")
    artist.page.evaluate("() => window.app.api.interrupt(null)")
    played(artist, "09_cancelled", ends="execution_interrupted")
    artist.page.wait_for_function(
        "() => document.querySelector('.anima-loss .phase').textContent.startsWith('cancelled')"
    )
    run(artist)
    wait_for_step(artist, 3)
    artist.page.locator(".anima-loss button").click()
    played(artist, "10_finished_by_hand")
    assert phase(artist).startswith("trained ")
    saved = artist.page.locator(".anima-saved").inner_text().removeprefix("Saved as models/anima_contexts/")

    draw_again(artist, server, saved)
    assert artist.errors == []


def draw_again(artist: FrontendPage, server: ComfyServer, saved: str) -> None:
    """The saved character by its picture, and one whose file is dropped."""
    page = artist.page
    open_template(artist, AGAIN)
    change(artist, "", **SMALL)
    page.locator(f".anima-contexts button[data-name='{saved}']").click()
    page.locator(f".anima-contexts button.chosen[data-name='{saved}'] img").wait_for(state="attached")
    assert "KSampler" in play(artist, "11_loaded_by_its_picture")
    content, name = (server.base / CONTEXTS / saved).read_bytes(), f"hero {uuid.uuid4().hex[:6]}.safetensors"
    artist.run("drop_on_node.js", {"type": LOAD, "name": name, "base64": base64.b64encode(content).decode()})
    page.locator(f".anima-contexts button.chosen[data-name='{name}'] img").wait_for(state="attached")
    play(artist, "12_dropped")
