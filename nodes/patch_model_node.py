"""The node that adds a trained context to a model for sampling."""

from __future__ import annotations

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from ..training.trainables.context_file import ReferenceContext
from .anima.patch import LARGEST_SCALE, ApplyTo, patch_model
from .node_schema import USE, node_schema
from .socket_types import Context


class PatchModel(io.ComfyNode):
    """Adds a context to a clone of the model; several in a row all act."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return node_schema(
            node_id="AnimaFastTrainPatchModel",
            display_name="Patch Model",
            category=USE,
            description="Lets Anima read a trained context beside the prompt. Chain several to combine contexts.",
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
                    "model", tooltip="The Anima model to sample with. LoRA loaders may come before or after this node."
                ),
                Context.Input("context", tooltip="A context from a training node or from Load Context."),
                io.Float.Input(
                    "reference_context_scale",
                    default=1.0,
                    min=0.0,
                    max=LARGEST_SCALE,
                    step=0.01,
                    tooltip="How strongly the context acts: 1 is what was trained, 0 is the model without it, bit by "
                    "bit.",
                ),
                io.Float.Input(
                    "start_percent",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    advanced=True,
                    tooltip="From which part of sampling on the context acts. A later start leaves the composition to "
                    "the prompt.",
                ),
                io.Float.Input(
                    "end_percent",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    advanced=True,
                    tooltip="Until which part of sampling the context acts. An earlier end leaves fine detail to the "
                    "prompt.",
                ),
                io.Combo.Input(
                    "apply_to",
                    options=["positive", "negative", "both"],
                    default="positive",
                    advanced=True,
                    tooltip="Which prompt reads the context. 'negative' pushes the picture away from what was "
                    "learned. 'both' gives each prompt its own tokens where the context was trained with "
                    "negative_tokens.",
                ),
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
    ) -> io.NodeOutput:
        if start_percent >= end_percent:
            raise ValueError(
                f"start_percent is {start_percent:g} and end_percent {end_percent:g}, expected an end after the start: "
                "as it is, the context acts in no step"
            )
        return io.NodeOutput(patch_model(model, context, reference_context_scale, start_percent, end_percent, apply_to))
