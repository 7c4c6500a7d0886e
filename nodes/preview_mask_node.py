"""The node that shows what training will see, before a minute is spent on it."""

from __future__ import annotations

from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io, ui
from torch import Tensor
from torch.nn import functional

from ..declared import settings_of
from ..masking.framing import Framing
from ..masking.preview import preview_reference, preview_tensor, words_sheet
from ..training.references.enlargement import enlargement_of
from ..training.references.prepare import prepare_reference
from ..training.references.reference_list import ReferenceList
from ..training.settings import TrainingSettings
from .estimate import NO_MODEL, estimate_training
from .models.families import family_of
from .models.family import CELL_PIXELS
from .node_schema import MASK, node_schema
from .options.declared_inputs import widget
from .options.training_options import TrainingOptions
from .reference_sockets import join_references, masked_references
from .socket_types import Options, References

(SIZE,) = (each for each in settings_of(Framing) if each.field == "size")
STEPS = TrainingSettings().steps  # of which the estimate speaks: how many there will be is told to the training node


class PreviewTrainingMask(io.ComfyNode):
    """Frames the references and reduces their masks exactly as training does."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return node_schema(
            node_id="AnimaFastTrainPreviewMask",
            display_name="Preview Training Mask",
            category=MASK,
            description="Shows which part of the picture training will learn, at the resolution in which it learns, "
            "with the coverage below.",
            search_aliases=["mask preview", "check mask", "latent mask", "mask overlay", "coverage"],
            is_output_node=True,
            inputs=[
                io.Image.Input(
                    "reference_image",
                    optional=True,
                    tooltip="The picture or pictures that go into Anima MaskTrain.",
                ),
                io.Mask.Input(
                    "training_mask", optional=True, tooltip="The mask or masks that go with them: white is learned."
                ),
                widget(SIZE, tooltip="The same number as in the training node: the latent mask has an eighth of it."),
                Options.Input(
                    "options",
                    optional=True,
                    tooltip="The same options as in the training node; cropping and inverting act here too.",
                ),
                References.Input(
                    "references",
                    optional=True,
                    tooltip="The same references as in the training node, shown below reference_image.",
                ),
                io.Model.Input(
                    "model",
                    optional=True,
                    tooltip="The model of the training node, to estimate how long training takes and what memory it "
                    "needs: a step of one row is run for it and thrown away.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    "image", tooltip="Picture, mask as drawn, and latent mask side by side, a row for each reference."
                ),
                io.Mask.Output("latent_mask", tooltip="The mask as the loss weighs it, one pixel a latent cell."),
                io.String.Output(
                    "estimate",
                    tooltip="How long training will take and what memory it needs, where a model is connected.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        reference_image: Tensor | None = None,
        training_mask: Tensor | None = None,
        options: TrainingOptions | None = None,
        references: ReferenceList | None = None,
        model: ModelPatcher | None = None,
        **inputs: Any,
    ) -> io.NodeOutput:
        options = options or TrainingOptions()
        framing = options.framing_of(inputs)
        if model is not None:
            framing = family_of(model).framed(framing)
        sheets, latent_masks = [], []
        for reference in join_references(masked_references(reference_image, training_mask, options), references):
            prepared = prepare_reference(reference, framing)
            height, width = prepared.image.shape[:2]
            latent_mask = prepared.latent_mask((height // CELL_PIXELS, width // CELL_PIXELS), options.mask_reduction)
            assert prepared.mask is not None
            enlarged = enlargement_of(reference, framing)
            sheets.append(
                preview_reference(
                    prepared.image, prepared.mask, latent_mask, prepared.name, [enlarged] if enlarged else []
                )
            )
            latent_masks.append(latent_mask)
        estimate = NO_MODEL
        if model is not None:
            height, width = latent_masks[0].shape[-2:]
            estimate = estimate_training(model, (height, width), options.settings, options).in_words(STEPS)
            sheets.append(words_sheet(estimate, sheets[0].width))
        image = preview_tensor(sheets)
        return io.NodeOutput(image, stacked(latent_masks), estimate, ui=ui.PreviewImage(image, cls=cls))


def stacked(latent_masks: list[Tensor]) -> Tensor:
    """[1,1,h,w] each -> MASK [B,h,w]; cropped references differ in size and are brought to that of the first."""
    size = latent_masks[0].shape[-2:]
    return torch.cat([functional.interpolate(mask, size=size, mode="nearest-exact")[:, 0] for mask in latent_masks])
