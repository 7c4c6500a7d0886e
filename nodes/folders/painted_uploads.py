"""Gives pictures that ComfyUI's mask editor saved without their colours these colours back, before anything reads them.

Frontends 1.47.3 to 1.48.6 upload a painted picture that is black under the paint, and beside it a copy that is not.
This is done in the server, since each of these frontends uploads there before it shows the file on Load Image, and so
that it is done when the artist presses Run or opens the editor again; the copy of a second painting would be black
under the first one. Files that were saved before this pack was installed are looked at when a workflow is queued that
brings them to a node of this pack.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import folder_paths
from aiohttp import web

from ...training.references.painted_file import painted_layers, repair_painted_file

UPLOADS = frozenset({"/upload/image", "/api/upload/image"})
OWN_NODES = "AnimaFastTrain"  # how the type of each node of this pack begins
logger = logging.getLogger(__name__)


def register_painted_uploads() -> None:
    """Called once at start-up, while the server still takes middlewares. Without a server, as in scripts that only load
    nodes, there is nothing to do."""
    from server import PromptServer

    server = getattr(PromptServer, "instance", None)
    if server is None:
        return
    server.add_on_prompt_handler(repair_queued)
    if server.app.frozen:
        logger.warning("AnimaFastTrain cannot watch uploads; painted pictures are repaired when they are queued")
    else:
        server.app.middlewares.append(repair_uploaded)


@web.middleware
async def repair_uploaded(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answers an upload only when the picture has its colours. An upload itself never fails for it."""
    response = await handler(request)
    if request.path in UPLOADS and isinstance(response, web.Response) and response.status == web.HTTPOk.status_code:
        path = _uploaded(response.text)
        if path is not None:
            await asyncio.to_thread(_repair, path)  # a large picture takes seconds, and others talk to the server
    return response


def repair_queued(json_data: dict[str, Any]) -> dict[str, Any]:
    """The queued prompt as it came; the painted pictures that its nodes of this pack see have their colours then."""
    for name in painted_names(json_data.get("prompt")):
        path = _input_file(*folder_paths.annotated_filepath(name))
        if path is not None:
            _repair_once(path, _stamp(path))
    return json_data


def painted_names(prompt: object) -> list[str]:
    """Of an API workflow from anyone: file names, as Load Image writes them, of painted pictures from which wires lead
    to a node of this pack. What is no workflow has none."""
    nodes = {key: node for key, node in prompt.items() if isinstance(node, dict)} if isinstance(prompt, dict) else {}
    waiting = [key for key, node in nodes.items() if str(node.get("class_type")).startswith(OWN_NODES)]
    seen, found = set(waiting), []
    while waiting:
        for value in _values(nodes[waiting.pop()]):
            if isinstance(value, str) and painted_layers(Path(folder_paths.annotated_filepath(value)[0])):
                found.append(value)
            elif isinstance(value, list) and len(value) == 2:
                origin = str(value[0])
                if origin in nodes and origin not in seen:
                    seen.add(origin)
                    waiting.append(origin)
    return found


def _values(node: dict[str, Any]) -> Iterator[object]:
    inputs = node.get("inputs")
    return iter(inputs.values() if isinstance(inputs, dict) else ())


def _uploaded(answer: str | None) -> Path | None:
    """The painted picture of an answer to an upload."""
    try:
        saved = json.loads(answer or "null")
    except ValueError:
        return None
    if not isinstance(saved, dict) or saved.get("type") != "input":
        return None
    return _input_file(os.path.join(str(saved.get("subfolder", "")), str(saved.get("name", ""))), None)


def _input_file(name: str, folder: str | None) -> Path | None:
    """The path of a painted picture's name, where it lies in the input folder."""
    root = os.path.abspath(folder_paths.get_input_directory())
    if folder is not None and os.path.abspath(folder) != root:
        return None
    path = Path(os.path.abspath(os.path.join(root, name)))
    return path if path.is_relative_to(root) and painted_layers(path) else None


def _stamp(path: Path) -> tuple[int, ...]:
    """Changes when the picture or its copy is written."""
    layers = painted_layers(path)
    assert layers is not None
    present = [layer for layer in (layers.painted_masked, layers.painted) if layer.is_file()]
    return tuple(value for layer in present for value in (layer.stat().st_mtime_ns, layer.stat().st_size))


@lru_cache(maxsize=256)
def _repair_once(path: Path, stamp: tuple[int, ...]) -> None:
    """Once for the files as they are, since a workflow is queued again and again."""
    _repair(path)


def _repair(path: Path) -> None:
    try:
        for repaired in repair_painted_file(path):
            logger.info("AnimaFastTrain gave %s the colours back that the mask editor had lost", repaired.name)
    except (OSError, ValueError) as reason:
        logger.warning("AnimaFastTrain cannot give %s its colours back: %s", path.name, reason)
