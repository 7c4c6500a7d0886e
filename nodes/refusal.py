"""How a route of this pack says no."""

from __future__ import annotations

from aiohttp import web


def refusal(status: int, sentence: str) -> web.Response:
    """{"error": sentence}"""
    return web.json_response({"error": sentence}, status=status)
