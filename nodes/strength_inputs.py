"""What the nodes that apply a context ask of its strength, and what they make of it."""

from __future__ import annotations

from comfy_api.latest import io

from ..training.trainables.block_scale import parse_block_scale
from ..training.trainables.context_file import ReferenceContext
from ..training.trainables.scale_schedule import ScaleSchedule
from .models.applied_context import LARGEST_SCALE, Strength
from .socket_types import Schedule


def scale_and_window() -> list[io.Input]:
    return [
        io.Float.Input(
            "reference_context_scale",
            default=1.0,
            min=0.0,
            max=LARGEST_SCALE,
            step=0.01,
            tooltip="How strongly the context acts: 1 is what was trained, 0 is the model without it, bit by bit.",
        ),
        io.Float.Input(
            "start_percent",
            default=0.0,
            min=0.0,
            max=1.0,
            step=0.001,
            advanced=True,
            tooltip="From which part of sampling on the context acts. A later start leaves the composition to the "
            "prompt.",
        ),
        io.Float.Input(
            "end_percent",
            default=1.0,
            min=0.0,
            max=1.0,
            step=0.001,
            advanced=True,
            tooltip="Until which part of sampling the context acts. An earlier end leaves fine detail to the prompt.",
        ),
    ]


def blocks_and_schedule() -> list[io.Input]:
    """Optional, since workflows that were saved without them have no value for them."""
    return [
        io.String.Input(
            "block_scale",
            default="",
            optional=True,
            advanced=True,
            tooltip="A factor for blocks of the model, such as 0-9:0.5, 10-27:1; blocks that are not named keep 1. "
            "Empty is 1 for all.",
        ),
        Schedule.Input(
            "scale_schedule",
            optional=True,
            tooltip="From Context Scale Schedule: a factor that changes while sampling goes on.",
        ),
    ]


def strength_of(
    context: ReferenceContext,
    reference_context_scale: float,
    start_percent: float,
    end_percent: float,
    block_scale: str,
    scale_schedule: ScaleSchedule | None,
) -> Strength:
    """Raises ValueError for a window in which nothing acts, and for blocks that the context does not have."""
    blocks = parse_block_scale(block_scale, context.num_blocks, LARGEST_SCALE) if block_scale.strip() else ()
    return Strength(reference_context_scale, start_percent, end_percent, scale_schedule, blocks)
