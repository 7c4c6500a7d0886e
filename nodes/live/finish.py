"""Lets an artist end a training after the step that runs, and go on with what is learned: the button Finish now.

The page names the node and the prompt, so that nothing but that run ends. ComfyUI turns pages of other sites away
before they get here, as it does for its own routes; the content type is one that such a page may not send unasked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from ...training.files.bounded_json import loads
from ..refusal import refusal
from .channel import Channel

ROUTE = "/anima_fast_train/finish"
LONGEST_REQUEST = 2000  # bytes
JSON = "application/json"


class FinishRequests:
    """Which runs are to end, by node and prompt."""

    def __init__(self) -> None:
        self._running: dict[Channel, threading.Event] = {}

    @contextmanager
    def listening(self, channel: Channel | None) -> Iterator[Callable[[], bool]]:
        """Inside, the run can be asked to finish; says whether it was."""
        if channel is None:
            yield lambda: False
            return
        asked = self._running[channel] = threading.Event()
        try:
            yield asked.is_set
        finally:
            del self._running[channel]

    def ask(self, channel: Channel) -> bool:
        """False where no such run is training."""
        asked = self._running.get(channel)
        if asked is None:
            return False
        asked.set()
        return True


REQUESTS = FinishRequests()


def register_finish_route() -> None:
    """Called once at start-up. Without a server, as in scripts that only load nodes, there is nothing to do."""
    from server import PromptServer

    server = getattr(PromptServer, "instance", None)
    if server is not None:
        server.routes.post(ROUTE)(finish)


async def finish(request: web.Request) -> web.Response:
    """{"node", "prompt_id"} -> 200 where that run will end after its step, 404 where it is not training."""
    if request.content_type != JSON:
        return refusal(415, f"the request is {request.content_type}, expected {JSON}")
    content = await request.content.read(LONGEST_REQUEST + 1)
    try:
        channel = asked_run(content)
    except ValueError as error:
        return refusal(400, str(error))
    if not REQUESTS.ask(channel):
        return refusal(404, "this node is not training in this prompt")
    return web.json_response({"finishing": True})


def asked_run(content: bytes) -> Channel:
    """Raises ValueError where the request names no run."""
    if len(content) > LONGEST_REQUEST:
        raise ValueError(f"the request is longer than {LONGEST_REQUEST} bytes")
    said: Any = loads(content.decode("utf-8", "replace"), most_values=8)
    node, prompt_id = (said.get(name) if isinstance(said, dict) else None for name in ("node", "prompt_id"))
    if not isinstance(node, str) or not isinstance(prompt_id, str):
        raise ValueError("the request names no run, expected the texts node and prompt_id")
    return Channel(node, prompt_id)
