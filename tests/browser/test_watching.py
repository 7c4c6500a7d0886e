"""An artist watches a training: its preview and its loss line appear on the node while it runs, and Plot Training shows
it afterwards."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from comfyui_installation import HOW_TO_GET_IT, find_installation
from example_graphs import (
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
from example_server import configure_frontend, example_server
from frontend_page import SETTINGS, FrontendPage
from PIL import Image

SCREENSHOTS = Path(__file__).parent / "output" / "watching"
SIDE = 128
LONG = 2000  # steps; cancelled once there is something to see
PREVIEW_EVERY = 20

# The training node, and what it shows: the width of its picture, the text and the line of its loss.
TRAINING_NODE = "window.app.graph.nodes.find((node) => node.type === 'AnimaFastTrainMaskedReferenceContext')"
LOSS_WIDGET = f"{TRAINING_NODE}?.widgets?.find((widget) => widget.name === 'anima_training_loss')"

# Whether the picture on the node is one of the previews that were written; compared in 16x16 cells, since the wire
# shrinks and compresses.
SHOWS_A_PREVIEW = f"""async () => {{
    const cells = (picture) => {{
        const drawing = new OffscreenCanvas(16, 16).getContext('2d')
        drawing.drawImage(picture, 0, 0, 16, 16)
        return drawing.getImageData(0, 0, 16, 16).data
    }}
    const node = {TRAINING_NODE}
    if (!node.imgs?.[0]?.naturalWidth) return false
    const shown = cells(node.imgs[0])
    for (let step = {PREVIEW_EVERY}; step <= {PREVIEW_EVERY * 5}; step += {PREVIEW_EVERY}) {{
        const name = `00001_step_${{String(step).padStart(6, '0')}}.png`
        const answer = await fetch(`/api/view?type=output&subfolder=anima_previews/training&filename=${{name}}`)
        if (!answer.ok) return false
        const kept = cells(await createImageBitmap(await answer.blob()))
        if (kept.reduce((sum, value, place) => sum + Math.abs(value - shown[place]), 0) / kept.length < 6) return true
    }}
    return false
}}"""


@pytest.fixture(scope="module", params=["own", "newest"])
def watched(
    request: pytest.FixtureRequest, browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FrontendPage]:
    """A page of a real ComfyUI with the frontend that it brings, and with the one of this environment."""
    installation = find_installation()
    if installation is None:
        pytest.skip(HOW_TO_GET_IT)
    frontend = request.getfixturevalue("frontend_files") if request.param == "newest" else None
    server = example_server(
        installation, installation.make_checkpoints(), tmp_path_factory.mktemp("watching"), frontend
    )
    paint(server.base / "input" / "example.png")
    configure_frontend(server, SETTINGS)
    with server:
        page = FrontendPage(browser, server.address, served_by=request.param)
        yield page
        page.page.close()


def paint(path: Path) -> None:
    """Make the middle transparent, as ComfyUI's mask editor leaves it."""
    image = Image.open(path).convert("RGBA")
    image.putalpha(Image.new("L", image.size, 255))
    width, height = image.size
    image.paste((200, 60, 40, 0), (width // 4, height // 4, 3 * width // 4, 3 * height // 4))
    image.save(path)


def build(frontend: FrontendPage, steps: int) -> None:
    """A training that is small and watched closely, with its plot beside it."""
    frontend.open_blank_workflow()
    options = {"preview_every": PREVIEW_EVERY, "batch_size": 1, "noise_pool": 4, "evaluations": 4, "cut_paste": 0.0}
    options["subject_words"] = ""  # two thousand steps look for words for minutes
    small = {"training_image_size": SIDE, "train_steps": steps, "num_tokens": 4, "learning_rate": "0.01"}
    training = train(True, "1girl, solo", **small)
    plot = Node("plot", "AnimaFastTrainPlotTraining", size=(460, 400))
    columns = [
        [loaders()],
        [Group("", "", [[picture(), Node("options", "AnimaFastTrainOptions", options)]])],
        [Group("", "", [[training]])],
        [Group("", "", [[plot, training_info()]])],
    ]
    links = [
        *TRAINING_LINKS,
        PICTURE_LINK,
        MASK_LINK,
        INFO_LINK,
        ("options", "options", "train", "options"),
        ("train", "loss_map", "plot", "loss_map"),
    ]
    frontend.run(
        "build_graph.js",
        {
            "id": str(uuid.uuid4()),
            "columns": [[asdict(group) for group in column] for column in columns],
            "links": links,
        },
    )
    frontend.wait_for_pictures()


def run(frontend: FrontendPage) -> None:
    """Press Run; `window.ended` will hold the name of the event that ends it."""
    frontend.page.evaluate(
        """() => {
            window.ended = null
            for (const name of ['execution_success', 'execution_error', 'execution_interrupted']) {
                window.app.api.addEventListener(name, () => { window.ended = name }, { once: true })
            }
            return window.app.queuePrompt(0)
        }"""
    )


def wait_for_end(frontend: FrontendPage) -> str:
    frontend.page.wait_for_function("() => window.ended")
    return frontend.page.evaluate("() => window.ended")


def wait_for_step(frontend: FrontendPage, step: int) -> None:
    """Until the line on the node has come so far."""
    frontend.page.wait_for_function(f"() => Number({LOSS_WIDGET}?.element.innerText.split(' ')[1]) >= {step}")


def saved_workflow(frontend: FrontendPage) -> dict:
    return json.loads(frontend.page.evaluate("async () => JSON.stringify((await window.app.graphToPrompt()).workflow)"))


def saved_widgets(frontend: FrontendPage) -> dict[str, list]:
    return {node["type"]: node.get("widgets_values") for node in saved_workflow(frontend)["nodes"]}


def screenshot(frontend: FrontendPage, name: str) -> None:
    frontend.run("show_whole_graph.js")
    frontend.screenshot(SCREENSHOTS / frontend.served_by / f"{name}.png")


def test_preview_and_loss_line_are_there_while_training_runs(watched: FrontendPage) -> None:
    build(watched, LONG)
    assert not watched.page.evaluate(f"() => Boolean({LOSS_WIDGET})"), "before training there is nothing to show"
    before = saved_widgets(watched)
    run(watched)
    page = watched.page
    wait_for_step(watched, PREVIEW_EVERY + 1)
    page.wait_for_function(SHOWS_A_PREVIEW)
    wait_for_step(watched, PREVIEW_EVERY * 5 // 2)
    page.wait_for_function(SHOWS_A_PREVIEW)  # of this step or of the one before, and no guess in their place
    assert page.evaluate("() => window.ended") is None
    screenshot(watched, "while_training")
    text = page.evaluate(f"() => {LOSS_WIDGET}.element.innerText")
    shown = rf"step \d+ of {LONG}\s+about .+ left\s+loss \d+\.\d+\s+inside \d+\.\d+\s+outside \d+\.\d+"
    assert re.search(shown, text), text
    assert saved_widgets(watched) == before

    page.evaluate("() => window.app.api.interrupt(null)")
    assert wait_for_end(watched) == "execution_interrupted"
    assert page.evaluate(f"() => {LOSS_WIDGET}.element.querySelector('path.loss').getBBox().width") > 0


def test_the_line_stays_and_plot_training_shows_its_picture(watched: FrontendPage) -> None:
    build(watched, 12)
    before = saved_widgets(watched)
    run(watched)
    assert wait_for_end(watched) == "execution_success"
    page = watched.page
    wait_for_step(watched, 12)
    page.wait_for_function(
        "() => window.app.graph.nodes.find((node) => node.type === "
        "'AnimaFastTrainPlotTraining').imgs?.[0]?.naturalWidth > 500"
    )
    screenshot(watched, "afterwards")
    # Four evaluations and the one before training, inside and outside the mask.
    dots = (
        f"(kind) => {LOSS_WIDGET}.element.querySelector(`path.${{kind}}-dots`).getAttribute('d').split('M').length - 1"
    )
    assert [page.evaluate(dots, kind) for kind in ("inside", "outside")] == [5, 5]
    assert saved_widgets(watched) == before
    assert "anima_training_loss" not in json.dumps(saved_workflow(watched))


def test_the_line_comes_back_with_its_tab(watched: FrontendPage) -> None:
    build(watched, 6)
    run(watched)
    assert wait_for_end(watched) == "execution_success"
    wait_for_step(watched, 6)
    watched.open_blank_workflow()
    watched.page.evaluate("() => window.app.extensionManager.command.execute('Workspace.PreviousOpenedWorkflow')")
    wait_for_step(watched, 6)
