"""The node that brings a picture, its mask and its prompt, so that the first Run has something to learn from."""

from __future__ import annotations

from pathlib import Path

from comfy_api.latest import io
from PIL import Image
from torch import Tensor

from ..masking.pixels import tensor_of
from .node_schema import REFERENCES, node_schema

FOLDER = Path(__file__).parent / "example_reference"
OWN_PROMPT = "1girl, solo"


class ExampleReference(io.ComfyNode):
    """Hands on the drawing that comes with the pack, or the artist's own picture once it is connected."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return node_schema(
            node_id="AnimaFastTrainExampleReference",
            display_name="Example Reference",
            category=REFERENCES,
            description="A drawn character with its mask and prompt, to try training at once. Your own picture and "
            "mask take its place as soon as both are connected.",
            search_aliases=["example", "demo picture", "sample character", "first picture", "test reference"],
            inputs=[
                io.Image.Input(
                    "own_image",
                    optional=True,
                    tooltip="Your own picture, from Load Image; connect own_mask too. Left free, the example is used.",
                ),
                io.Mask.Input(
                    "own_mask",
                    optional=True,
                    tooltip="The mask of your own picture: MASK of the same Load Image, painted with Open in "
                    "MaskEditor. White is learned.",
                ),
            ],
            outputs=[
                io.Image.Output("image", tooltip="The picture, for reference_image."),
                io.Mask.Output("mask", tooltip="What of it is learned: white is the character. For training_mask."),
                io.String.Output(
                    "prompt",
                    tooltip="What the example shows beside the character, for training_prompt. For your own picture "
                    f"it says '{OWN_PROMPT}'; better write there what yours shows.",
                ),
            ],
        )

    @classmethod
    def execute(cls, own_image: Tensor | None = None, own_mask: Tensor | None = None) -> io.NodeOutput:
        if (own_image is None) != (own_mask is None):
            came, lacks = ("own_image", "own_mask") if own_mask is None else ("own_mask", "own_image")
            raise ValueError(f"{came} came without {lacks}, expected both IMAGE and MASK of your Load Image")
        if own_image is not None:
            return io.NodeOutput(own_image, own_mask, OWN_PROMPT)
        return io.NodeOutput(*example())


def example() -> tuple[Tensor, Tensor, str]:
    """IMAGE [1,H,W,3], MASK [1,H,W] (1 on the character) and the prompt of the bundled drawing."""
    image = tensor_of(Image.open(FOLDER / "picture.png"))[None]
    mask = tensor_of(Image.open(FOLDER / "mask.png"))[None]
    return image, mask, (FOLDER / "prompt.txt").read_text(encoding="utf-8").strip()
