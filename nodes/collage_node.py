"""The node that puts several references into one picture, which trains in the time of one."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..declared import values_of
from ..masking.collage import CollageLayout, compose_collage
from ..training.references.caption import join_captions as joined_caption
from ..training.references.reference_list import ReferenceList
from .node_schema import REFERENCES, node_schema
from .options.declared_inputs import inputs_of
from .socket_types import References


class ReferenceCollage(io.ComfyNode):
    """Every reference once and undistorted; gutters and background have weight 0 in the mask."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return node_schema(
            node_id="AnimaFastTrainReferenceCollage",
            display_name="Reference Collage",
            category=REFERENCES,
            description="Puts references side by side into one picture with one mask, so that each training step sees "
            "all of them.",
            search_aliases=[
                "collage",
                "montage",
                "stitch",
                "image grid",
                "contact sheet",
                "combine images",
                "character sheet",
            ],
            inputs=[
                References.Input("references", tooltip="From Add Reference or Load Reference Folder."),
                *inputs_of(CollageLayout),
                io.Boolean.Input(
                    "join_captions",
                    default=True,
                    tooltip="On: caption holds the tags of all references, each once. Off: it is empty.",
                ),
            ],
            outputs=[
                io.Image.Output("image", tooltip="The collage, for reference_image."),
                io.Mask.Output("mask", tooltip="Each reference's own mask in its place, for training_mask."),
                io.String.Output("caption", tooltip="The joined captions, for training_prompt."),
            ],
        )

    @classmethod
    def execute(
        cls,
        references: ReferenceList,
        join_captions: bool,
        **inputs: Any,
    ) -> io.NodeOutput:
        layout = CollageLayout(**values_of(CollageLayout, inputs, "node"))
        loaded = list(references)
        collage = compose_collage(
            [reference.image for reference in loaded], [reference.mask for reference in loaded], layout
        )
        caption = joined_caption([reference.caption for reference in loaded]) if join_captions else ""
        return io.NodeOutput(collage.image[None], collage.mask[None], caption)
