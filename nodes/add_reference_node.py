"""The node that adds a picture, with its own mask, caption and weight, to what a context is trained on."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..training.references.reference import references_from_batch, unmasked_references
from ..training.references.reference_list import ReferenceList
from .node_schema import REFERENCES, node_schema
from .socket_types import References


class AddReference(io.ComfyNode):
    """Chained as ControlNets are; pictures of different sizes train together."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return node_schema(
            node_id="AnimaFastTrainAddReference",
            display_name="Add Reference",
            category=REFERENCES,
            description="Adds a picture to the references of a training node. Chain several; their sizes may differ.",
            search_aliases=[
                "reference",
                "caption",
                "dataset",
                "reference image",
                "training image",
                "more pictures",
                "multiple references",
            ],
            inputs=[
                io.Image.Input(
                    "image",
                    tooltip="The picture. A batch of pictures is several references with this caption and weight.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="What to learn of it: white is learned. One mask for all pictures of a batch or one for "
                    "each. Without a mask all of it is learned. Load Image's MASK of a cut-out character has to go "
                    "through Mask Source.",
                ),
                References.Input(
                    "references",
                    optional=True,
                    tooltip="From another Add Reference or Load Reference Folder; this one comes after those.",
                ),
                io.String.Input(
                    "caption",
                    multiline=True,
                    default="",
                    tooltip="What this picture shows besides the subject. It takes the place of training_prompt, or "
                    "of [filewords] in it. Empty takes training_prompt. Several lines are drawn at random.",
                ),
                io.Float.Input(
                    "weight",
                    default=1.0,
                    min=0.01,
                    max=1000.0,
                    step=0.01,
                    tooltip="How often training draws this picture beside the others: 2 is twice as often.",
                ),
                io.Int.Input(
                    "repeats",
                    default=1,
                    min=1,
                    max=10_000,
                    advanced=True,
                    tooltip="Multiplies weight, as the repeats of a data set folder do.",
                ),
                io.Mask.Input(
                    "attention_map",
                    optional=True,
                    tooltip="What matters most of what is learned, such as the face: white counts attention_weight "
                    "times (Training Options; 4), black once.",
                ),
            ],
            outputs=[
                References.Output(
                    "references",
                    tooltip="All references so far, for a training node, a collage, a preview or the next Add "
                    "Reference.",
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        caption: str,
        weight: float,
        repeats: int,
        mask: Tensor | None = None,
        references: ReferenceList | None = None,
        attention_map: Tensor | None = None,
    ) -> io.NodeOutput:
        references = references or ReferenceList()
        added = (
            unmasked_references(image, attention_map)
            if mask is None
            else references_from_batch(image, mask, emphasis=attention_map)
        )
        return io.NodeOutput(references.adding(added, caption, weight, repeats))
