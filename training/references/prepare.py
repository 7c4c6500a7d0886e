"""Brings a reference to training size, picture, mask and emphasis as one."""

from __future__ import annotations

from dataclasses import replace

import torch

from ...masking.framed import Framed, flip, resize_image, resize_mask
from ...masking.framing import Framing, frame
from .reference import _FAINTEST_WEIGHT, Reference


def prepare_reference(reference: Reference, framing: Framing) -> Reference:
    """Frame and resize a checked reference for training.

    Returns a reference whose image is [h,w,3] at training size and whose mask, never None, covers the same rectangle at
    the resolution of the source. Reduce it with latent_mask.
    """
    framed, size = frame_reference(reference, framing)
    return resize_framed(reference, framed, size, framing.flip)


def frame_reference(reference: Reference, framing: Framing) -> tuple[Framed, tuple[int, int]]:
    """Picture and mask, cropped and fitted at the resolution of the source, and the (width, height) to resize the
    picture to."""
    height, width = reference.image.shape[:2]
    mask = (
        reference.image.new_ones(height, width)
        if reference.mask is None
        else resize_mask(reference.mask, width, height)
    )
    image = reference.image
    if reference.emphasis is not None:
        image = torch.cat(
            [image, reference.emphasis[..., None]], dim=-1
        )  # a fourth channel goes wherever the picture goes
    return frame(Framed(image, mask), framing)


def resize_framed(reference: Reference, framed: Framed, size: tuple[int, int], mirrored: bool) -> Reference:
    """The reference with a framed picture resized to (width, height), its mask at the resolution it has."""
    framed = Framed(resize_image(framed.image, *size), framed.mask)
    if mirrored:
        framed = flip(framed)
    if float(framed.mask.max()) < _FAINTEST_WEIGHT:
        raise ValueError(
            f"the mask of {reference.name!r} selects nothing once the picture is cropped to its training size"
        )
    emphasis = framed.image[..., 3] if framed.image.shape[-1] == 4 else None
    return replace(reference, image=framed.image[..., :3], mask=framed.mask, emphasis=emphasis)
