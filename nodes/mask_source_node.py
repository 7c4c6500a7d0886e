"""The node that turns whatever an artist has into a training mask."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..masking.sources import MaskSource, extract_mask
from .node_schema import MASK, node_schema

# What each choice does stands in the choice itself: LoadImage's MASK is the opposite of what most expect.
CHOICES: dict[str, MaskSource] = {
    "MASK as it is: white is learned": "mask",
    "MASK inverted: black is learned (Load Image: opaque pixels are learned)": "inverted mask",
    "red of the image: white is learned, 127 counts half (sd-scripts)": "red",
    "brightness of the image: bright pixels are learned": "luminance",
    "alpha of the image: opaque pixels are learned": "alpha",
    "alpha of the image: transparent pixels are learned": "transparent",
}


class MaskSourceNode(io.ComfyNode):
    """Reads a training mask, 1 where it is learned, from a MASK or from a channel of an IMAGE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return node_schema(
            node_id="AnimaFastTrainMaskSource",
            display_name="Mask Source",
            category=MASK,
            description="Makes a training mask from a MASK, a painted mask picture or an alpha channel, and says what "
            "is learned.",
            search_aliases=[
                "invert mask",
                "alpha mask",
                "alpha to mask",
                "image to mask",
                "transparent png",
                "cut-out",
                "sd-scripts mask",
            ],
            inputs=[
                io.Combo.Input(
                    "source",
                    options=list(CHOICES),
                    tooltip="What to read, and which part of it is learned. Load Image's MASK is white where a "
                    "picture is transparent: for a cut-out character take 'MASK inverted'. Alpha needs an image with "
                    "four channels, as from Join Image with Alpha.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Read by the first two choices: painted in the mask editor, or from a segmenter.",
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="Read by the other choices: a black and white mask picture, or one with alpha.",
                ),
            ],
            outputs=[
                io.Mask.Output(
                    "mask", tooltip="White (1) is learned, for training_mask, Add Reference or Shape Training Mask."
                )
            ],
        )

    @classmethod
    def execute(cls, source: str, mask: Tensor | None = None, image: Tensor | None = None) -> io.NodeOutput:
        return io.NodeOutput(extract_mask(CHOICES[source], mask=mask, image=image))
