"""What the page of Load Context asks the server for: the contexts with their pictures, and a place for a dropped file.

ComfyUI turns pages of other sites away before they get here, as it does for its own routes.
"""

from __future__ import annotations

import asyncio
from typing import Any

import folder_paths
from aiohttp import web

from ...masking.wording import printable
from ...training.trainables.stored_context import read_stored_info
from ...training.trainables.thumbnail import jpeg_of
from ..refusal import refusal
from .context_uploads import Upload, take_context
from .contexts import FOLDER, context_path

CONTEXTS = "/anima_fast_train/contexts"
THUMBNAIL = "/anima_fast_train/thumbnail"
BYTES = "application/octet-stream"
MOST_LISTED = 200
LONGEST_PROMPT = 200  # characters of it in a list
PART = 2**20


def register_context_routes() -> None:
    """Called once at start-up. Without a server, as in scripts that only load nodes, there is nothing to do."""
    from server import PromptServer

    server = getattr(PromptServer, "instance", None)
    if server is not None:
        server.routes.get(CONTEXTS)(list_contexts)
        server.routes.get(THUMBNAIL)(send_thumbnail)
        server.routes.post(CONTEXTS)(take_dropped)


async def list_contexts(request: web.Request) -> web.Response:
    """All names as Load Context has them, and the newest with what is to be seen of them."""
    return web.json_response(await asyncio.to_thread(described_contexts))


async def send_thumbnail(request: web.Request) -> web.Response:
    """The picture in the context file `name`, 404 where it has none."""
    picture = await asyncio.to_thread(thumbnail_of, request.query.get("name", ""))
    if picture is None:
        return refusal(404, "this context has no picture")
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
    return web.Response(body=picture, content_type="image/jpeg", headers=headers)


async def take_dropped(request: web.Request) -> web.Response:
    """The bytes of a context file, whose name on the artist's disk is `name` -> {"name": that in the folder}.

    The content type is one that a page of another site may not send unasked.
    """
    if request.content_type != BYTES:
        return refusal(415, f"the request is {printable(request.content_type, 60)}, expected {BYTES}")
    with Upload() as upload:
        try:
            async for part in request.content.iter_chunked(PART):
                upload.add(part)
            name = await asyncio.to_thread(take_context, upload.whole(), request.query.get("name", ""))
        except (OSError, ValueError) as error:
            return refusal(400, str(error).replace(str(upload.path), printable(request.query.get("name", ""), 60)))
    return web.json_response({"name": name})


def described_contexts() -> dict[str, Any]:
    names = folder_paths.get_filename_list(FOLDER)
    newest = sorted(((written(name), name) for name in names), reverse=True)[:MOST_LISTED]
    return {"names": names, "newest": [described(name, stamp) for stamp, name in newest]}


def written(name: str) -> int:
    """When, in nanoseconds; 0 for a file that is gone since it was listed."""
    try:
        return context_path(name).stat().st_mtime_ns
    except (OSError, ValueError):
        return 0


def described(name: str, stamp: int) -> dict[str, Any]:
    """stamp changes with the file, so that a page asks for its picture again."""
    try:
        info = read_stored_info(context_path(name))
    except ValueError:
        return {"name": name, "stamp": str(stamp), "thumbnail": False, "words": "no context"}
    words = f"{info.prompt}, {info.steps} steps"
    return {
        "name": name,
        "stamp": str(stamp),
        "thumbnail": jpeg_of(info.thumbnail) is not None,
        "words": printable(words, LONGEST_PROMPT),
    }


def thumbnail_of(name: str) -> bytes | None:
    try:
        return jpeg_of(read_stored_info(context_path(name)).thumbnail)
    except ValueError:
        return None
