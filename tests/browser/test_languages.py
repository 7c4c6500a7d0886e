"""In a ComfyUI of another language, our nodes say nothing in English."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from frontend_page import FrontendPage

SCREENSHOTS = Path(__file__).parent / "output" / "languages"
SCRIPTS = {"ja": "[\u3040-\u30ff\u4e00-\u9fff]", "zh": "[\u4e00-\u9fff]", "ko": "[\uac00-\ud7a3]"}
# What these communities write in Latin letters.
AS_IT_IS = {"CLIP", "VAE", "EMA", "CFG"}
# Sockets that appear one after the other: frontends show the name that links are saved under.
GROWING = {"context_1", "context_2"}
ALL_NODES = """() => {
    let x = 0
    for (const type of Object.keys(LiteGraph.registered_node_types)) {
        if (!type.startsWith('AnimaFastTrain')) continue
        const node = LiteGraph.createNode(type)
        window.app.graph.add(node)
        node.pos = [x, 0]
        x += node.size[0] + 60
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


@pytest.fixture(params=SCRIPTS)
def translated(request: pytest.FixtureRequest, browser, comfyui_address: str) -> Iterator[FrontendPage]:
    def choose(language: str) -> None:
        page = FrontendPage(browser, comfyui_address)
        page.page.evaluate("(name) => window.app.extensionManager.setting.set('Comfy.Locale', name)", language)
        page.page.close()

    choose(request.param)
    page = FrontendPage(browser, comfyui_address, served_by=request.param)
    yield page
    page.page.close()
    choose("en")


def test_every_label_is_of_the_language(translated: FrontendPage) -> None:
    translated.open_blank_workflow()
    translated.page.evaluate(ALL_NODES)
    translated.run("show_whole_graph.js")
    translated.screenshot(SCREENSHOTS / f"{translated.served_by}.png")
    labels = translated.page.evaluate(LABELS)
    assert len(labels) >= 15
    english = [
        (kind, text)
        for kind, texts in labels
        for text in texts
        if not re.search(SCRIPTS[translated.served_by], text) and text not in AS_IT_IS | GROWING
    ]
    assert english == []
