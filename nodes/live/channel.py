"""Sends messages about an executing node to the page that queued it, also from threads of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from comfy_execution.progress import get_progress_state
from comfy_execution.utils import get_executing_context


@dataclass(frozen=True)
class Channel:
    """node: as the page knows it, which is that of the node on the canvas where others were expanded from it."""

    node: str
    prompt_id: str

    @classmethod
    def of_executing_node(cls) -> Channel | None:
        """None where no node is executing, as in a script: then there is nobody to send to."""
        context = get_executing_context()
        if context is None:
            return None
        node = get_progress_state().dynprompt.get_display_node_id(context.node_id)
        return cls(str(node), str(context.prompt_id))

    def send(self, event: str, message: dict[str, Any]) -> None:
        # ComfyUI's own module of that name, which a node in a check without a server must not start.
        from server import PromptServer

        server = PromptServer.instance
        server.send_sync(event, {"node": self.node, "prompt_id": self.prompt_id, **message}, server.client_id)
