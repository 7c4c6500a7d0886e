"""The node that grows, cleans and softens a training mask before it is reduced to latent cells."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..masking.shape import MaskShape, shape_mask
from .socket_types import CATEGORY

DEFAULTS = MaskShape()


class ShapeTrainingMask(io.ComfyNode):
    """Works at the resolution of the mask; the steps run from top to bottom, and the defaults change nothing."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimaFastTrainShapeMask",
            display_name="AnimaFastTrain - Shape Training Mask",
            category=CATEGORY,
            description="Inverts, cleans, grows and feathers a mask at full resolution. The steps run from top to "
            "bottom.",
            search_aliases=[
                "grow mask",
                "shrink mask",
                "feather mask",
                "fill holes",
                "erode",
                "dilate",
                "blur mask",
                "threshold mask",
            ],
            inputs=[
                io.Mask.Input("mask", tooltip="The mask or masks to shape: white is learned."),
                io.Boolean.Input("invert", default=DEFAULTS.invert, tooltip="Learn what the mask leaves out."),
                io.Float.Input(
                    "threshold",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Weights from here up become 1, the others 0: takes the gray out of a segmenter's mask. 0 "
                    "leaves them as they are.",
                ),
                io.Int.Input(
                    "smallest_speck",
                    default=DEFAULTS.smallest_speck,
                    min=0,
                    max=1_000_000,
                    advanced=True,
                    tooltip="Parts of fewer pixels are dropped. Set a threshold too where the black of the mask is "
                    "not quite black.",
                ),
                io.Boolean.Input("fill_holes", default=DEFAULTS.fill_holes, tooltip="Fill what the mask encloses."),
                io.Int.Input(
                    "grow",
                    default=DEFAULTS.grow,
                    min=-1024,
                    max=1024,
                    tooltip="Pixels by which the mask grows on all sides, with round corners; negative shrinks it.",
                ),
                io.Float.Input(
                    "feather",
                    default=DEFAULTS.feather,
                    min=0.0,
                    max=256.0,
                    step=0.5,
                    tooltip="Softens the edge by about so many pixels.",
                ),
                io.Float.Input(
                    "floor",
                    default=DEFAULTS.floor,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    advanced=True,
                    tooltip="No pixel weighs less: 0.1 learns a tenth of the surroundings too.",
                ),
            ],
            outputs=[io.Mask.Output("mask", tooltip="The shaped mask, of the same size.")],
        )

    @classmethod
    def execute(
        cls,
        mask: Tensor,
        invert: bool,
        threshold: float,
        smallest_speck: int,
        fill_holes: bool,
        grow: int,
        feather: float,
        floor: float,
    ) -> io.NodeOutput:
        shape = MaskShape(invert, threshold or None, smallest_speck, fill_holes, grow, feather, floor)
        return io.NodeOutput(shape_mask(mask, shape))
