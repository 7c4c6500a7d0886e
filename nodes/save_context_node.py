"""The node that keeps a context as a file."""

from __future__ import annotations

from comfy_api.latest import io, ui

from ..training.trainables.context_file import ReferenceContext
from .folders.contexts import save_as_new_file
from .node_schema import USE, node_schema
from .socket_types import Context


class SaveContext(io.ComfyNode):
    """Writes a context as a new file; nothing is overwritten."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return node_schema(
            node_id="AnimaFastTrainSaveContext",
            display_name="Save Context",
            category=USE,
            description="Saves a trained context to models/anima_contexts, for Load Context in any workflow.",
            search_aliases=[
                "keep character",
                "save character",
                "export context",
                "store context",
                "save embedding",
                "save tokens",
            ],
            is_output_node=True,
            inputs=[
                Context.Input("context", tooltip="The context to save, with all that it was trained with."),
                io.String.Input(
                    "filename_prefix",
                    default="context",
                    tooltip="The file's name in models/anima_contexts; a number is added. A slash makes a subfolder; "
                    "%year%, %month% and %day% are filled in.",
                ),
            ],
            outputs=[],
        )

    @classmethod
    def execute(cls, context: ReferenceContext, filename_prefix: str) -> io.NodeOutput:
        return io.NodeOutput(ui=ui.PreviewText(save_as_new_file(context, filename_prefix)))
