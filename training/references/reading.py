"""What a context's file says of how its pictures were read and shown."""

from __future__ import annotations

from typing import Any

from ...declared import to_record
from ...masking.framing import Framing
from .augmentation import Augmentation


def describe_reading(framing: Framing, augmentation: Augmentation, mask_reduction: str) -> dict[str, Any]:
    """How pictures, masks and captions were read and shown, by public id. Pictures that were given as backgrounds are
    not in it, only how many there were."""
    captions, images = augmentation.captions, augmentation.images
    return {
        **to_record(framing),
        **to_record(captions),
        "training_prompt": captions.templates,
        **to_record(images),
        "background_images": len(images.background_images),
        "mask_reduction": mask_reduction,
    }
