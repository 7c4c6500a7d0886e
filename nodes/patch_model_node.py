"""The node that adds a trained context to a model for sampling."""

from __future__ import annotations

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from ..training.trainables.context_file import ReferenceContext
from ..training.trainables.scale_schedule import ScaleSchedule
from .models.patch import ApplyTo, patch_model
from .node_schema import USE, node_schema
from .socket_types import Context
from .strength_inputs import blocks_and_schedule, scale_and_window, strength_of


class PatchModel(io.ComfyNode):
    """Adds a context to a clone of the model; several in a row all act."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return node_schema(
            node_id="AnimaFastTrainPatchModel",
            display_name="Patch Model",
            category=USE,
            description="Lets a model read a trained context beside the prompt. Chain several to combine contexts.",
            search_aliases=[
                "apply context",
                "use context",
                "apply embedding",
                "apply character",
                "anima patch",
                "context scale",
                "use reference context",
            ],
            inputs=[
                io.Model.Input(
                    "model",
                    tooltip="The model to sample with, of the family that the context was trained on. LoRA loaders may "
                    "come before or after this node.",
                ),
                Context.Input("context", tooltip="A context from a training node or from Load Context."),
                *scale_and_window(),
                io.Combo.Input(
                    "apply_to",
                    options=["positive", "negative", "both"],
                    default="positive",
                    advanced=True,
                    tooltip="Which prompt reads the context. 'negative' pushes the picture away from what was "
                    "learned. 'both' gives each prompt its own tokens where the context was trained with "
                    "negative_tokens.",
                ),
                *blocks_and_schedule(),
            ],
            outputs=[
                io.Model.Output("model", tooltip="The model with the context, for a sampler or the next Patch Model.")
            ],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        context: ReferenceContext,
        reference_context_scale: float,
        start_percent: float,
        end_percent: float,
        apply_to: ApplyTo,
        block_scale: str = "",
        scale_schedule: ScaleSchedule | None = None,
    ) -> io.NodeOutput:
        strength = strength_of(
            context, reference_context_scale, start_percent, end_percent, block_scale, scale_schedule
        )
        return io.NodeOutput(patch_model(model, context, strength, apply_to))
