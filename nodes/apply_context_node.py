"""The node that lets one conditioning read a trained context."""

from __future__ import annotations

from typing import Literal

from comfy_api.latest import io

from ..training.trainables.context_file import ReferenceContext
from ..training.trainables.scale_schedule import ScaleSchedule
from .models.conditioning import apply_to_conditioning
from .node_schema import USE, node_schema
from .socket_types import Context
from .strength_inputs import blocks_and_schedule, scale_and_window, strength_of


class ApplyContextToConditioning(io.ComfyNode):
    """The context goes where the conditioning goes: into a region, a part of sampling, beside others."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return node_schema(
            node_id="AnimaFastTrainApplyContext",
            display_name="Apply Context to Conditioning",
            category=USE,
            description="Lets one prompt alone read a context, so that two characters can each have a region of one "
            "picture: put Conditioning (Set Mask) behind it and join them with Conditioning (Combine).",
            search_aliases=[
                "regional context",
                "regional prompt",
                "two characters",
                "context region",
                "apply context",
                "conditioning context",
                "context mask",
            ],
            inputs=[
                io.Conditioning.Input("conditioning", tooltip="The prompt that is to read the context."),
                Context.Input("context", tooltip="A context from a training node or from Load Context."),
                *scale_and_window(),
                io.Combo.Input(
                    "tokens",
                    options=["positive", "negative"],
                    default="positive",
                    advanced=True,
                    tooltip="Which tokens of the context: 'negative' are those that were trained with negative_tokens, "
                    "for a negative prompt.",
                ),
                *blocks_and_schedule(),
            ],
            outputs=[
                io.Conditioning.Output(
                    "conditioning",
                    tooltip="The prompt with the context, for a sampler, Conditioning (Set Mask), or this node again.",
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        conditioning: list,
        context: ReferenceContext,
        reference_context_scale: float,
        start_percent: float,
        end_percent: float,
        tokens: Literal["positive", "negative"],
        block_scale: str = "",
        scale_schedule: ScaleSchedule | None = None,
    ) -> io.NodeOutput:
        strength = strength_of(
            context, reference_context_scale, start_percent, end_percent, block_scale, scale_schedule
        )
        return io.NodeOutput(apply_to_conditioning(conditioning, context, strength, tokens == "negative"))
