"""In a ComfyUI of another language, our nodes say nothing in English."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from comfyui_installation import HOW_TO_GET_IT, find_installation
from comfyui_server import ComfyServer
from example_server import configure_frontend, example_server
from frontend_page import SETTINGS, FrontendPage

SCREENSHOTS = Path(__file__).parent / "output" / "languages"
SCRIPTS = {"ja": "[\u3040-\u30ff\u4e00-\u9fff]", "zh": "[\u4e00-\u9fff]", "ko": "[\uac00-\ud7a3]"}
# What these communities write in Latin letters.
AS_IT_IS = {"CLIP", "VAE", "EMA", "CFG", "LoRA"}
# Of lists: what is written so everywhere, names of samplers and schedules, which ComfyUI does not translate either.
NAMES = {"bf16", "fp16", "fp32", "euler", "simple", "LoRA", "LoCon", "LoHa", "LoKr", "DyLoRA", "sd-scripts", "peft"}
ALL_NODES = """() => {
    const nodes = Object.keys(LiteGraph.registered_node_types)
        .filter((type) => type.startsWith('AnimaFastTrain')).map((type) => LiteGraph.createNode(type))
    const columns = [0, 0, 0, 0, 0, 0]
    for (const node of nodes.sort((one, other) => other.size[1] - one.size[1])) {
        window.app.graph.add(node)
        const column = columns.indexOf(Math.min(...columns))
        node.pos = [column * 480, columns[column]]
        columns[column] += node.size[1] + 60
    }
}"""
LABELS = """() => window.app.graph.nodes.map((node) => [node.type, [
    node.title,
    ...node.inputs.map((socket) => socket.label ?? socket.localized_name ?? socket.name),
    ...node.outputs.map((socket) => socket.label ?? socket.localized_name ?? socket.name),
    ...(node.widgets ?? [])
        .filter((widget) => !widget.element || widget.inputEl)
        .map((widget) => widget.label ?? widget.name)
]])"""
# What a list or a switch shows of its value, as the canvas draws it.
SHOWN = """() => window.app.graph.nodes.flatMap((node) => (node.widgets ?? [])
    .filter((widget) => !widget.element && (widget.type === 'combo' || typeof widget.value === 'boolean'))
    .flatMap((widget) => {
        const { values, getOptionLabel, on, off } = widget.options
        const shown = widget.type === 'combo' ? values.map((value) => getOptionLabel?.(value) ?? value) : [on, off]
        return shown.map((said) => [node.type, widget.name, said ?? 'true'])
    }))"""
COMPARE = """async () => {
    const make = (type) => { const node = LiteGraph.createNode(type); window.app.graph.add(node); return node }
    const compare = make('AnimaFastTrainCompareContexts')
    compare.pos = [500, 0]
    for (let number = 0; number < 2; number++) {
        const load = make('AnimaFastTrainLoadContext')
        load.pos = [0, 400 * number]
        const socket = compare.inputs.findIndex((each) => each.name.startsWith('contexts.') && each.link == null)
        load.connect(0, compare, socket)
        await new Promise(requestAnimationFrame) // in which the next socket is added
        await new Promise(requestAnimationFrame)
    }
    return compare.id
}"""
GROWN = """() => window.app.graph.nodes.find((node) => node.type.endsWith('CompareContexts')).inputs
    .filter((input) => input.name.startsWith('contexts.')).map((input) => input.label)"""
PHRASES = """async (said) => {
    const loaded = performance.getEntriesByType('resource').find(({ name }) => name.endsWith('/js/words.js'))
    return said.map((await import(loaded.name)).phrase)
}"""
SAVED = "async () => JSON.stringify((await window.app.graphToPrompt()).workflow)"


@pytest.fixture(scope="module", params=["own", "newest"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    """A real ComfyUI with the frontend that it brings, and with the one of this environment."""
    installation = find_installation()
    if installation is None:
        pytest.skip(HOW_TO_GET_IT)
    frontend = request.getfixturevalue("frontend_files") if request.param == "newest" else None
    folder = tmp_path_factory.mktemp("languages")
    started = example_server(installation, folder / "no-models", folder / "base", frontend)
    configure_frontend(started, SETTINGS)
    with started:
        yield started


@pytest.fixture(scope="module", params=SCRIPTS)
def translated(request: pytest.FixtureRequest, browser, server: ComfyServer) -> Iterator[FrontendPage]:
    page = FrontendPage(browser, server.address)
    page.page.evaluate("(name) => window.app.extensionManager.setting.set('Comfy.Locale', name)", request.param)
    page.page.close()
    page = FrontendPage(browser, server.address, served_by=request.param)
    yield page
    page.page.close()


def test_every_label_is_of_the_language(translated: FrontendPage) -> None:
    translated.open_blank_workflow()
    translated.page.evaluate(ALL_NODES)
    translated.photograph_graph(SCREENSHOTS / f"{translated.served_by}.jpg")
    labels = translated.page.evaluate(LABELS)
    assert len(labels) >= 15
    english = [
        (kind, text)
        for kind, texts in labels
        for text in texts
        if not re.search(SCRIPTS[translated.served_by], text) and text not in AS_IT_IS
    ]
    assert english == []


def test_every_choice_of_a_list_is_of_the_language_and_saved_in_english(translated: FrontendPage) -> None:
    translated.open_blank_workflow()
    translated.page.evaluate(ALL_NODES)
    shown = translated.page.evaluate(SHOWN)
    assert len(shown) > 80
    english = [
        (kind, name, text)
        for kind, name, text in shown
        if not re.search(SCRIPTS[translated.served_by], text)
        and text not in NAMES
        and name not in ("sampler_name", "scheduler", "context_name")
    ]
    assert english == []
    saved = {node["type"]: node for node in json.loads(translated.page.evaluate(SAVED))["nodes"]}
    assert "positive" in saved["AnimaFastTrainPatchModel"]["widgets_values"]
    assert saved["AnimaFastTrainSaveContext"]["widgets_values"] == ["context", "context"]


def test_sockets_that_grow_are_of_the_language_and_saved_in_english(translated: FrontendPage) -> None:
    translated.open_blank_workflow()
    translated.page.evaluate(COMPARE)
    translated.page.wait_for_function(f"() => ({GROWN})().length === 3")
    translated.photograph_graph(SCREENSHOTS / f"grown_{translated.served_by}.jpg")
    labels = translated.page.evaluate(GROWN)
    assert all(re.search(SCRIPTS[translated.served_by] + r"+ \d$", label) for label in labels), labels
    saved = translated.page.evaluate(SAVED)
    (compare,) = [node for node in json.loads(saved)["nodes"] if node["type"].endswith("CompareContexts")]
    sockets = [(each["name"], each.get("label")) for each in compare["inputs"] if each["name"].startswith("contexts.")]
    assert sockets == [(f"contexts.context_{number}", f"context_{number}") for number in (1, 2, 3)]
    translated.drop("grown", saved)
    assert translated.page.evaluate(GROWN) == labels


def test_what_the_server_says_of_a_run_is_of_the_language(translated: FrontendPage) -> None:
    said = [
        "measuring the model as it is, pass 12",
        "encoding picture 3 of 20",
        "step 7 of 300, measuring what is learned, finishing",
        "cancelled while loading the model",
        "about 1 h 20 min left",
    ]
    shown = translated.page.evaluate(PHRASES, said)
    for text, english in zip(shown, said, strict=True):
        assert re.search(SCRIPTS[translated.served_by], text) and not re.search("[a-z]{2}", text), text
        assert re.findall(r"\d+", text) == re.findall(r"\d+", english)
