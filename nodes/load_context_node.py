"""The node that reads a context from its file."""

from __future__ import annotations

import os

import folder_paths
from comfy_api.latest import io

from ..training.reports.context_description import describe_context
from ..training.trainables.stored_context import load_context
from .folders.contexts import FOLDER, context_path
from .node_schema import USE, node_schema
from .socket_types import Context

NOTHING_SAVED = "no context is saved yet: train one, which keeps it for this list, or drop a context or a card here"


class LoadContext(io.ComfyNode):
    """Reads a context file; a file that is not one, or not whole, gives one sentence."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return node_schema(
            node_id="AnimaFastTrainLoadContext",
            display_name="Load Context",
            category=USE,
            description="Loads a context that was saved to models/anima_contexts.",
            search_aliases=[
                "anima context",
                "saved character",
                "load character",
                "load embedding",
                "load tokens",
                "import context",
                "open context",
            ],
            inputs=[
                io.Combo.Input(
                    "context_name",
                    options=folder_paths.get_filename_list(FOLDER),
                    tooltip="A file in models/anima_contexts; those in recent were kept by training. Choose it by its "
                    "picture below, or drop a .safetensors file or a PNG card on the node.",
                ),
            ],
            outputs=[
                Context.Output("context", tooltip="The context, for Patch Model."),
                io.String.Output("info", tooltip="What the context was trained with."),
            ],
        )

    @classmethod
    def validate_inputs(cls, context_name: str | None = None) -> bool | str:
        """Asked in place of ComfyUI's own look into the list, whose words for an empty one nobody understands. A name
        that comes by a wire is not known yet."""
        if context_name is None:
            return True
        try:
            context_path(context_name)
        except ValueError as reason:
            return str(reason) if folder_paths.get_filename_list(FOLDER) else NOTHING_SAVED
        return True

    @classmethod
    def fingerprint_inputs(cls, context_name: str = "") -> tuple[float, int] | str:
        """So that a file that changed under the same name is read again."""
        try:
            status = os.stat(context_path(context_name))
        except (OSError, ValueError):  # said when the node runs
            return context_name
        return status.st_mtime, status.st_size

    @classmethod
    def execute(cls, context_name: str) -> io.NodeOutput:
        context = load_context(context_path(context_name))
        return io.NodeOutput(context, describe_context(context))
