"""The node that puts several references into one picture, which trains in the time of one."""

from __future__ import annotations

from comfy_api.latest import io

from ..masking.collage import CollageLayout, compose_collage
from ..training.references.caption import join_captions as joined_caption
from ..training.references.reference_list import ReferenceList
from .socket_types import CATEGORY, References

DEFAULTS = CollageLayout()


class ReferenceCollage(io.ComfyNode):
    """Every reference once and undistorted; gutters and background have weight 0 in the mask."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimaFastTrainReferenceCollage",
            display_name="AnimaFastTrain - Reference Collage",
            category=CATEGORY,
            description="Puts references side by side into one picture with one mask, so that each training step sees "
            "all of them.",
            search_aliases=["image grid", "contact sheet", "combine images", "stitch", "montage", "character sheet"],
            inputs=[
                References.Input("references", tooltip="From Add Reference or Load Reference Folder."),
                io.Int.Input(
                    "width", default=DEFAULTS.width, min=64, max=8192, step=16, tooltip="Of the frame, in pixels."
                ),
                io.Int.Input(
                    "height", default=DEFAULTS.height, min=64, max=8192, step=16, tooltip="Of the frame, in pixels."
                ),
                io.Int.Input(
                    "rows",
                    default=0,
                    min=0,
                    max=64,
                    advanced=True,
                    tooltip="Rows of cells. 0 chooses what shows the pictures largest: portraits side by side, "
                    "landscapes on top of each other.",
                ),
                io.Int.Input(
                    "columns",
                    default=0,
                    min=0,
                    max=64,
                    advanced=True,
                    tooltip="Columns of cells; 0 chooses as for rows.",
                ),
                io.Int.Input(
                    "gutter",
                    default=DEFAULTS.gutter,
                    min=0,
                    max=512,
                    tooltip="Pixels between the cells and around them; never learned.",
                ),
                io.String.Input(
                    "background",
                    default=DEFAULTS.background,
                    advanced=True,
                    tooltip="Colour of gutters and free parts, as #rrggbb.",
                ),
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
        width: int,
        height: int,
        rows: int,
        columns: int,
        gutter: int,
        background: str,
        join_captions: bool,
    ) -> io.NodeOutput:
        layout = CollageLayout(width, height, rows or None, columns or None, gutter, background)
        loaded = list(references)
        collage = compose_collage(
            [reference.image for reference in loaded], [reference.mask for reference in loaded], layout
        )
        caption = joined_caption([reference.caption for reference in loaded]) if join_captions else ""
        return io.NodeOutput(collage.image[None], collage.mask[None], caption)
