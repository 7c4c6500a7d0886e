"""Makes this folder a ComfyUI custom node; ComfyUI itself is imported only when it asks for the nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .nodes import AnimaFastTrainExtension

# Help pages are looked up under this folder's own name, which only this attribute registers
# (`web` in pyproject.toml registers the project's name instead).
WEB_DIRECTORY = "./web"


async def comfy_entrypoint() -> AnimaFastTrainExtension:
    """Called once by ComfyUI at start-up; returns the extension that lists the nodes."""
    from .nodes import AnimaFastTrainExtension

    return AnimaFastTrainExtension()
