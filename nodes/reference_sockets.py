"""What the wires of image, mask and references mean together."""

from __future__ import annotations

from torch import Tensor

from ..masking.sources import extract_mask
from ..training.references.reference import references_from_batch, unmasked_references
from ..training.references.reference_list import ReferenceList
from .models.backbone import copy_outside_inference
from .options.training_options import TrainingOptions


def masked_references(
    reference_image: Tensor | None,
    training_mask: Tensor | None,
    options: TrainingOptions,
    attention_map: Tensor | None = None,
) -> ReferenceList:
    """The references of the three sockets. Raises ValueError where one is wired without reference_image."""
    require_image(reference_image, training_mask=training_mask, attention_map=attention_map)
    if reference_image is None:
        return ReferenceList()
    masks = (
        None if training_mask is None else copy_outside_inference(extract_mask(options.mask_source, mask=training_mask))
    )
    return ReferenceList(
        tuple(references_from_batch(copy_outside_inference(reference_image), masks, emphasis=copied_map(attention_map)))
    )


def whole_references(reference_image: Tensor | None, attention_map: Tensor | None) -> ReferenceList:
    """The references of the two sockets, learned as a whole."""
    require_image(reference_image, attention_map=attention_map)
    if reference_image is None:
        return ReferenceList(whole=True)
    return ReferenceList(
        tuple(unmasked_references(copy_outside_inference(reference_image), copied_map(attention_map))),
        whole=True,
    )


def require_image(reference_image: Tensor | None, **others: Tensor | None) -> None:
    """Raises ValueError that names what came without the picture it belongs to."""
    for name, came in others.items():
        if reference_image is None and came is not None:
            raise ValueError(
                f"{name} came without reference_image, expected both, or a picture and its mask through Add Reference"
            )


def copied_map(attention_map: Tensor | None) -> Tensor | None:
    """A copy that a backward pass may remember, of a map that may be missing."""
    return None if attention_map is None else copy_outside_inference(attention_map)


def join_references(first: ReferenceList, added: ReferenceList | None) -> ReferenceList:
    """Those of reference_image, then those of the references socket. Raises ValueError where there are none."""
    together = first + (added or ReferenceList())
    if len(together) == 0:
        raise ValueError(
            "no reference image came, expected a picture at reference_image, or Add Reference at references"
        )
    return together
