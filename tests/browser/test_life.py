"""An artist sees life from the first moment, finishes a training by hand, cancels one, and finds contexts by their
pictures."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from comfyui_installation import HOW_TO_GET_IT, find_installation
from comfyui_server import ComfyServer
from example_server import configure_frontend, example_server
from frontend_page import SETTINGS, FrontendPage
from graph_parts import (
    INFO_LINK,
    MASK_LINK,
    PICTURE_LINK,
    TRAINING_LINKS,
    Group,
    Node,
    loaders,
    picture,
    train,
    training_info,
)
from PIL import Image
from played_run import TRAINING, phase, run, wait_for_end, wait_for_step

SCREENSHOTS = Path(__file__).parent / "output" / "life"
LONG = 2000  # steps; ended once there is something to see
NODE = "window.app.graph.nodes.find((node) => node.type === '{}')"
LOAD = "AnimaFastTrainLoadContext"
COMBO = NODE.format(LOAD) + ".widgets.find((widget) => widget.name === 'context_name')"
TEXT = NODE.format("PreviewAny") + ".widgets.map((widget) => String(widget.value ?? '')).join(' ')"
CONTEXTS = "models/anima_contexts"

# Remembers what the server tells of the training, in the order in which it comes.
RECORD = """() => {
    window.told = []
    const { api } = window.app
    api.addEventListener('anima_fast_train.phase', ({ detail }) => window.told.push(detail.phase))
    api.addEventListener('anima_fast_train.loss', ({ detail }) => window.told.push(`line ${detail.step}`))
    api.addEventListener('b_preview_with_metadata', () => window.told.push('picture'))
}"""


@pytest.fixture(scope="module", params=["own", "newest"])
def living_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, ComfyServer]]:
    """A real ComfyUI with the frontend that it brings, and with the one of this environment."""
    installation = find_installation()
    if installation is None:
        pytest.skip(HOW_TO_GET_IT)
    frontend = request.getfixturevalue("frontend_files") if request.param == "newest" else None
    server = example_server(installation, installation.make_checkpoints(), tmp_path_factory.mktemp("life"), frontend)
    image = Image.open(server.base / "input" / "example.png").convert("RGBA")
    width, height = image.size
    image.paste((200, 60, 40, 0), (width // 4, height // 4, 3 * width // 4, 3 * height // 4))
    image.save(server.base / "input" / "example.png")
    configure_frontend(server, SETTINGS)
    with server:
        yield request.param, server


@pytest.fixture(params=["classic", "vue"])
def artist(request: pytest.FixtureRequest, browser, living_server: tuple[str, ComfyServer]) -> Iterator[FrontendPage]:
    """A page with a training, what it says, Save Context and Load Context; its nodes are drawn on the canvas or by
    Vue."""
    served_by, server = living_server
    page = FrontendPage(browser, server.address, served_by=f"{served_by}_{request.param}")
    page.page.evaluate(
        "(on) => window.app.extensionManager.setting.set('Comfy.VueNodes.Enabled', on)", request.param == "vue"
    )
    page.open_blank_workflow()
    options = {"batch_size": 1, "noise_pool": 4, "evaluations": 2, "preview_every": 0, "cut_paste": 0.0}
    options["subject_words"] = ""  # two thousand steps look for words for minutes
    training = train(True, "1girl, solo", training_image_size=64, train_steps=LONG, num_tokens=2, learning_rate="0.01")
    columns = [
        [loaders()],
        [Group("", "", [[picture(), Node("options", "AnimaFastTrainOptions", options)]])],
        [Group("", "", [[training]])],
        [
            Group(
                "",
                "",
                [
                    [
                        Node("save", "AnimaFastTrainSaveContext", {"filename_prefix": served_by}, size=(400, 0)),
                        training_info(),
                        Node("load", LOAD, size=(400, 0)),
                    ]
                ],
            )
        ],
    ]
    links = [
        *TRAINING_LINKS,
        PICTURE_LINK,
        MASK_LINK,
        INFO_LINK,
        ("options", "options", "train", "options"),
        ("train", "context", "save", "context"),
    ]
    page.run(
        "build_graph.js",
        {
            "id": str(uuid.uuid4()),
            "columns": [[asdict(group) for group in column] for column in columns],
            "links": links,
        },
    )
    page.wait_for_pictures()
    page.run("show_whole_graph.js")
    page.page.evaluate(RECORD)
    yield page
    page.page.close()


def change(artist: FrontendPage, **widgets: object) -> None:
    """Type into widgets of the training node."""
    artist.page.evaluate(
        f"(given) => {{ for (const widget of {TRAINING}.widgets) if (widget.name in given) "
        "widget.value = given[widget.name] }",
        widgets,
    )


def screenshot(artist: FrontendPage, name: str) -> None:
    artist.run("show_whole_graph.js")
    artist.screenshot(SCREENSHOTS / artist.served_by / f"{name}.png")


def test_it_lives_from_the_first_moment_and_finishes_by_hand(
    artist: FrontendPage, living_server: tuple[str, ComfyServer]
) -> None:
    _, server = living_server
    page = artist.page
    change(artist, seed=uuid.uuid4().int % 10**9)
    run(artist)
    wait_for_step(artist, 3)
    told = page.evaluate("() => window.told")
    kinds = ["starting", "encoding picture 1 of 1", "picture", "encoding the prompt", "loading the model"]
    kinds += ["measuring the model as it is", "line 1"]
    places = [next(place for place, said in enumerate(told) if said.startswith(kind)) for kind in kinds]
    assert places == sorted(places), told
    assert re.fullmatch("about .+ left", page.locator(".anima-loss .time").inner_text())
    assert re.fullmatch(r"peak memory \d+ MiB", page.locator(".anima-loss .memory").inner_text())
    screenshot(artist, "while_training")

    page.locator(".anima-loss button").click()
    assert wait_for_end(artist) == "execution_success"
    page.wait_for_function(f"() => {TEXT}.includes('finished by hand')")
    info = page.evaluate(f"() => {TEXT}")
    steps = int(re.search(rf"finished by hand after step (\d+) of {LONG}", info)[1])
    assert phase(artist) == f"trained {steps} steps"
    assert page.locator(".anima-loss button").is_hidden()
    shown = page.locator(".anima-loss").inner_text()
    inside = re.search(r"inside the mask: ([\d.]+) before, ([\d.]+) after", info)
    outside = re.search(r"outside the mask: ([\d.]+) before, ([\d.]+) after", info)
    for figure in (
        f"inside {inside[1]} → {inside[2]}",
        f"outside {outside[1]} → {outside[2]}",
        f"loss {re.search(r'final loss: ([0-9.]+)', info)[1]}",
        f"{float(re.search(r'time: ([0-9.]+) s', info)[1]):g} s",
        f"peak memory {re.search('peak memory: ([0-9]+) MiB', info)[1]} MiB",
    ):
        assert figure in shown, (figure, shown, info)

    saved = page.locator(".anima-saved").inner_text().removeprefix("Saved as models/anima_contexts/")
    assert (server.base / CONTEXTS / saved).is_file()
    kept = re.search("kept as: (.+safetensors)", info)[1]
    for name in (saved, kept):
        picture = page.locator(f".anima-contexts button[data-name='{name}'] img")
        picture.wait_for(state="attached")
        page.wait_for_function("(picture) => picture.naturalWidth > 50", arg=picture.element_handle())
        page.locator(f".anima-contexts button[data-name='{name}']").click()
        assert page.evaluate(f"() => {COMBO}.value") == name
    screenshot(artist, "finished")
    assert artist.errors == []
    assert_not_red_where_a_workflow_names_what_was_saved(artist, saved)


def assert_not_red_where_a_workflow_names_what_was_saved(artist: FrontendPage, name: str) -> None:
    """In the page that was open before the file was there."""
    workflow = artist.page.evaluate("async () => (await window.app.graphToPrompt()).workflow")
    workflow["nodes"] = [
        {**node, "id": 1, "widgets_values": [name], "outputs": []} for node in workflow["nodes"] if node["type"] == LOAD
    ] + [{**workflow["nodes"][0], "id": 2, "inputs": [], "outputs": []}]
    workflow = {**workflow, "links": [], "groups": [], "id": str(uuid.uuid4())}
    artist.drop(f"loads_{uuid.uuid4().hex[:6]}", json.dumps(workflow))
    artist.page.wait_for_function(f"(name) => {COMBO}?.options.values.includes(name)", arg=name)
    assert artist.page.evaluate(f"() => {COMBO}.value") == name
    assert not artist.page.evaluate(f"() => Boolean({NODE.format(LOAD)}.has_errors)")
    screenshot(artist, "loads_what_was_saved")


def test_a_cancel_leaves_no_verdict_of_another_run(artist: FrontendPage) -> None:
    page = artist.page
    change(artist, seed=uuid.uuid4().int % 10**9, train_steps=3)
    run(artist)
    assert wait_for_end(artist) == "execution_success"
    page.wait_for_function(f"() => {TEXT}.includes('verdict')")
    change(artist, seed=uuid.uuid4().int % 10**9, train_steps=LONG)
    run(artist)
    wait_for_step(artist, 2)
    assert "verdict" not in page.evaluate(f"() => {TEXT}")
    page.evaluate("() => window.app.api.interrupt(null)")
    assert wait_for_end(artist) == "execution_interrupted"
    page.wait_for_function("() => document.querySelector('.anima-loss .phase').textContent.startsWith('cancelled')")
    assert re.fullmatch(rf"cancelled at step \d+ of {LONG}", phase(artist))
    assert "verdict" not in page.evaluate(f"() => {TEXT}")
    assert page.locator(".anima-loss button").is_hidden()
    screenshot(artist, "cancelled")


def test_a_file_that_is_dropped_on_load_context_is_chosen(
    artist: FrontendPage, living_server: tuple[str, ComfyServer]
) -> None:
    _, server = living_server
    change(artist, seed=uuid.uuid4().int % 10**9, train_steps=2)
    run(artist)
    assert wait_for_end(artist) == "execution_success"
    newest = max((server.base / CONTEXTS / "recent").glob("*.safetensors"), key=lambda path: path.stat().st_mtime_ns)
    content, name = base64.b64encode(newest.read_bytes()).decode(), f"hero {uuid.uuid4().hex[:6]}.safetensors"
    artist.run("drop_on_node.js", {"type": LOAD, "name": name, "base64": content})
    artist.page.wait_for_function(f"(name) => {COMBO}.value === name", arg=name)
    assert (server.base / CONTEXTS / name).read_bytes() == newest.read_bytes()
    artist.page.locator(f".anima-contexts button.chosen[data-name='{name}'] img").wait_for(state="attached")
    screenshot(artist, "dropped")

    broken = base64.b64encode(newest.read_bytes()[:-9]).decode()
    artist.run("drop_on_node.js", {"type": LOAD, "name": "broken.safetensors", "base64": broken})
    artist.page.get_by_role("alert").filter(has_text="is cut short").first.wait_for()
    assert not (server.base / CONTEXTS / "broken.safetensors").exists()
    assert artist.page.evaluate(f"() => {COMBO}.value") == name
    assert artist.errors == []
