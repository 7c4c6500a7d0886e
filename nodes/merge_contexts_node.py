"""The node that makes one context of two."""

from __future__ import annotations

from comfy_api.latest import io

from ..training.trainables.combine import MergeMethod, merge
from ..training.trainables.context_file import ReferenceContext
from .node_schema import USE, node_schema
from .socket_types import Context


class MergeContexts(io.ComfyNode):
    """Several in a row merge more than two."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return node_schema(
            node_id="AnimaFastTrainMergeContexts",
            display_name="Merge Contexts",
            category=USE,
            description="Makes one context of two: a character with a style, or something between two characters.",
            search_aliases=["merge context", "blend contexts", "mix characters", "combine contexts", "context slerp"],
            inputs=[
                Context.Input("first", tooltip="A context from a training node or from Load Context."),
                Context.Input("second", tooltip="Another one, for the same model."),
                io.Combo.Input(
                    "method",
                    options=["concatenate", "weighted mean", "spherical"],
                    default="concatenate",
                    tooltip="'concatenate' keeps the tokens of both side by side. 'weighted mean' and 'spherical' "
                    "blend each token of one with the token of the other at its place, which needs equally many and "
                    "does most for contexts that come from one training or began from the same words.",
                ),
                io.Float.Input(
                    "weight",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="How much of the second: 0 is the first alone, 1 the second alone. With 'concatenate' both "
                    "are whole at 0.5.",
                ),
            ],
            outputs=[
                Context.Output("context", tooltip="For Patch Model, Apply Context to Conditioning, Save Context.")
            ],
        )

    @classmethod
    def execute(
        cls, first: ReferenceContext, second: ReferenceContext, method: MergeMethod, weight: float
    ) -> io.NodeOutput:
        return io.NodeOutput(merge(first, second, weight, method))
