"""The node that shows contexts side by side: prompts in rows, contexts at several scales in columns."""

from __future__ import annotations

from typing import Any

import comfy.samplers
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io, ui

from ..masking.preview import preview_tensor
from ..training.reports.context_comparison import parse_prompts, parse_scales, plan_cells
from ..training.reports.image_grid import GridRow, labelled_grid
from ..training.trainables.context_file import ReferenceContext
from .models.applied_context import LARGEST_SCALE
from .models.drawing import SamplerSettings, draw_cells, patched_models
from .models.families import token_family_of
from .node_schema import LOOK, node_schema
from .socket_types import Context

MOST_CONTEXTS = 12


class CompareContexts(io.ComfyNode):
    """Every cell has the same seed and the same sampler; what is the same picture is drawn once."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return node_schema(
            node_id="AnimaFastTrainCompareContexts",
            display_name="Compare Contexts",
            category=LOOK,
            description="Draws the same prompts with several contexts and scales into one labelled picture, all from "
            "the same seed.",
            search_aliases=[
                "compare",
                "xy plot",
                "x/y grid",
                "comparison grid",
                "contact sheet",
                "test context",
                "context scale",
            ],
            is_output_node=True,
            inputs=[
                io.Model.Input(
                    "model", tooltip="The model to sample with, of the contexts' family. It is not changed."
                ),
                io.Clip.Input("clip", tooltip="The model's text encoder."),
                io.Vae.Input("vae", tooltip="The model's VAE."),
                io.Autogrow.Input(
                    "contexts",
                    template=io.Autogrow.TemplateNames(
                        Context.Input("context", tooltip="A context from a training node or from Load Context."),
                        names=[f"context_{number}" for number in range(1, MOST_CONTEXTS + 1)],
                        min=1,
                    ),
                    tooltip="The contexts to compare; a new input appears with each that is connected.",
                ),
                io.String.Input(
                    "prompts",
                    multiline=True,
                    default="1girl, solo, standing, plain background\n1girl, solo, sitting in a cafe, reading a book",
                    tooltip="What to draw: one prompt a line, and a row of the picture for each.",
                ),
                io.String.Input(
                    "negative_prompt",
                    multiline=True,
                    default="worst quality, low quality, blurry",
                    tooltip="What to avoid, in every picture.",
                ),
                io.String.Input(
                    "scales",
                    default="0, 0.7, 1",
                    tooltip=f"Scales of each context, between commas, from 0 to {LARGEST_SCALE:g}: a column for each. "
                    "0 is the model without context, and is drawn once for all contexts.",
                ),
                io.Int.Input("width", default=1024, min=64, max=4096, step=16, tooltip="Of each picture, in pixels."),
                io.Int.Input("height", default=1024, min=64, max=4096, step=16, tooltip="Of each picture, in pixels."),
                io.Int.Input(
                    "seed",
                    default=1,
                    min=0,
                    max=2**64 - 1,
                    # a seed that changes by itself draws all anew
                    control_after_generate=io.ControlAfterGenerate.fixed,
                    tooltip="The noise that every picture begins with.",
                ),
                io.Int.Input(
                    "steps",
                    default=30,
                    min=1,
                    max=1000,
                    tooltip="Sampling steps of each picture. Fewer show the differences sooner.",
                ),
                io.Float.Input(
                    "cfg",
                    default=4.0,
                    min=0.0,
                    max=100.0,
                    step=0.1,
                    tooltip="How closely the pictures follow the prompt.",
                ),
                io.Combo.Input(
                    "sampler_name",
                    options=comfy.samplers.KSampler.SAMPLERS,
                    default="er_sde",
                    tooltip="As in KSampler.",
                ),
                io.Combo.Input(
                    "scheduler", options=comfy.samplers.KSampler.SCHEDULERS, default="simple", tooltip="As in KSampler."
                ),
            ],
            outputs=[io.Image.Output("image", tooltip="The labelled grid, for Save Image.")],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        clip: Any,
        vae: Any,
        contexts: dict[str, ReferenceContext],
        prompts: str,
        scales: str,
        **sampler: Any,
    ) -> io.NodeOutput:
        family = token_family_of(model)
        family.check_clip(clip)
        family.check_vae(vae)
        lines, factors = parse_prompts(prompts), parse_scales(scales, LARGEST_SCALE)
        connected = {name: context for name, context in contexts.items() if context is not None}
        rows = plan_cells(lines, numbers_of(connected), factors)
        different = list(dict.fromkeys(cell for row in rows for cell in row))
        images = draw_cells(
            patched_models(model, connected, different), clip, vae, different, SamplerSettings(**sampler)
        )
        columns = [f"{name}\nscale {scale:g}" for name in connected for scale in factors]
        grid = labelled_grid(
            [GridRow(prompt, [images[cell] for cell in row]) for prompt, row in zip(lines, rows, strict=True)],
            columns,
        )
        image = preview_tensor([grid])
        return io.NodeOutput(image, ui=ui.PreviewImage(image, cls=cls))


def numbers_of(contexts: dict[str, ReferenceContext]) -> list[int]:
    """A number for each; a context that is connected twice has the same number twice. Raises ValueError where there is
    none."""
    if not contexts:
        raise ValueError("no context came, expected at least one at contexts")
    given = list(contexts.values())
    return [next(number for number, other in enumerate(given) if other is context) for context in given]
