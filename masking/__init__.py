"""Training masks: where they come from, how they are shaped and framed, how they get to latent resolution."""

from .collage import Collage, CollageLayout, compose_collage
from .framed import (
    Box,
    Framed,
    box_of_mask,
    crop,
    crop_to_aspect,
    crop_to_mask,
    flip,
    letterbox,
    random_window,
    replace_background,
    resize_image,
    resize_mask,
)
from .latent import REDUCTIONS, ReductionReport, coverage, match_masks, report_reduction, to_latent_mask
from .pixels import picture_of, tensor_of
from .preview import overlay, preview_reference, preview_tensor
from .shape import MaskShape, shape_mask
from .sources import MASK_SOURCES, MaskSource, as_training_mask, extract_mask

__all__ = [
    "MASK_SOURCES",
    "REDUCTIONS",
    "Box",
    "Collage",
    "CollageLayout",
    "Framed",
    "MaskShape",
    "MaskSource",
    "ReductionReport",
    "as_training_mask",
    "box_of_mask",
    "compose_collage",
    "coverage",
    "crop",
    "crop_to_aspect",
    "crop_to_mask",
    "extract_mask",
    "flip",
    "letterbox",
    "match_masks",
    "overlay",
    "picture_of",
    "preview_reference",
    "preview_tensor",
    "random_window",
    "replace_background",
    "report_reduction",
    "resize_mask",
    "resize_image",
    "shape_mask",
    "tensor_of",
    "to_latent_mask",
]
