"""The node that takes one context from another."""

from __future__ import annotations

from comfy_api.latest import io

from ..training.trainables.combine import SubtractMethod, subtract
from ..training.trainables.context_file import ReferenceContext
from .models.applied_context import LARGEST_SCALE
from .node_schema import USE, node_schema
from .socket_types import Context


class SubtractContext(io.ComfyNode):
    """What the second shows is to be avoided."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return node_schema(
            node_id="AnimaFastTrainSubtractContext",
            display_name="Subtract Context",
            category=USE,
            description="Takes from a context what another one shows, such as a style or a background that came along.",
            search_aliases=["negative context", "remove style", "context arithmetic", "unlearn", "subtract embedding"],
            inputs=[
                Context.Input("context", tooltip="What is to be kept."),
                Context.Input("subtracted", tooltip="What is to be avoided, for the same model."),
                io.Combo.Input(
                    "method",
                    options=["push away", "vectors"],
                    default="push away",
                    tooltip="'push away' lets the negative prompt read the second: set apply_to to 'both' on Patch "
                    "Model. 'vectors' subtracts token from token, which needs equally many.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=LARGEST_SCALE,
                    step=0.01,
                    tooltip="How much of the second is taken away.",
                ),
            ],
            outputs=[Context.Output("context", tooltip="For Patch Model or Save Context.")],
        )

    @classmethod
    def execute(
        cls, context: ReferenceContext, subtracted: ReferenceContext, method: SubtractMethod, strength: float
    ) -> io.NodeOutput:
        return io.NodeOutput(subtract(context, subtracted, strength, method))
