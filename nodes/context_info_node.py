"""The node that says in words what a context holds."""

from __future__ import annotations

from comfy_api.latest import io, ui

from ..training.reports.context_description import describe_fully
from ..training.trainables.context_file import ReferenceContext
from .node_schema import LOOK, node_schema
from .socket_types import Context


class ContextInfo(io.ComfyNode):
    """Shows the text on the node, and hands it on."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return node_schema(
            node_id="AnimaFastTrainContextInfo",
            display_name="Context Info",
            category=LOOK,
            description="Says in words what a context holds: model, tokens, prompt, pictures, all settings, losses, "
            "and the trainings that it went through before.",
            search_aliases=[
                "inspect context",
                "context metadata",
                "show context",
                "training settings",
                "what is in this context",
            ],
            is_output_node=True,
            has_intermediate_output=True,
            inputs=[Context.Input("context", tooltip="A context from Load Context or from a training node.")],
            outputs=[io.String.Output("info", tooltip="A line for each thing that the context says of itself.")],
        )

    @classmethod
    def execute(cls, context: ReferenceContext) -> io.NodeOutput:
        info = describe_fully(context)
        return io.NodeOutput(info, ui=ui.PreviewText(info))
