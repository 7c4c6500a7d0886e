"""The node that grows, cleans and softens a training mask before it is reduced to latent cells."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..declared import values_of
from ..masking.shape import MaskShape, shape_mask
from .node_schema import MASK, node_schema
from .options.declared_inputs import inputs_of


class ShapeTrainingMask(io.ComfyNode):
    """Works at the resolution of the mask; the steps run from top to bottom, and the defaults change nothing."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return node_schema(
            node_id="AnimaFastTrainShapeMask",
            display_name="Shape Training Mask",
            category=MASK,
            description="Inverts, cleans, grows and feathers a mask at full resolution. The steps run from top to "
            "bottom.",
            search_aliases=[
                "grow mask",
                "shrink mask",
                "feather mask",
                "blur mask",
                "fill holes",
                "erode",
                "dilate",
                "threshold mask",
            ],
            inputs=[
                io.Mask.Input("mask", tooltip="The mask or masks to shape: white is learned."),
                *inputs_of(MaskShape),
            ],
            outputs=[io.Mask.Output("mask", tooltip="The shaped mask, of the same size.")],
        )

    @classmethod
    def execute(cls, mask: Tensor, **inputs: Any) -> io.NodeOutput:
        return io.NodeOutput(shape_mask(mask, MaskShape(**values_of(MaskShape, inputs, "node"))))
