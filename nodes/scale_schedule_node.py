"""The node that changes a context's scale while sampling goes on."""

from __future__ import annotations

from comfy_api.latest import io

from ..training.trainables.scale_schedule import parse_scale_schedule
from .models.applied_context import LARGEST_SCALE
from .node_schema import USE, node_schema
from .socket_types import Schedule


class ContextScaleSchedule(io.ComfyNode):
    """Points of percent and scale, for the nodes that apply a context."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return node_schema(
            node_id="AnimaFastTrainScaleSchedule",
            display_name="Context Scale Schedule",
            category=USE,
            description="A scale that changes while sampling goes on: let the context begin late, fade or end early.",
            search_aliases=[
                "context schedule",
                "scale curve",
                "context strength schedule",
                "fade context",
                "keyframes",
            ],
            inputs=[
                io.String.Input(
                    "points",
                    default="0:1, 0.6:1, 0.6:0",
                    tooltip="Percent of sampling and scale, between commas. Between two points the scale goes evenly "
                    "from one to the other; a percent that stands twice is a jump. 0:1, 0.6:1, 0.6:0 lets go of the "
                    "context after 60 %.",
                )
            ],
            outputs=[
                Schedule.Output(
                    "scale_schedule",
                    tooltip="For Patch Model and Apply Context to Conditioning, whose own scale it multiplies.",
                )
            ],
        )

    @classmethod
    def execute(cls, points: str) -> io.NodeOutput:
        return io.NodeOutput(parse_scale_schedule(points, LARGEST_SCALE))
