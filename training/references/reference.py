"""What one reference is and how it gets to training size, because picture and mask must stay one from the file to the
latents."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...masking.framed import resize_mask
from ...masking.latent import match_masks, to_latent_mask
from ...masking.painted import refuse_flat_area, refuse_unpainted
from ...masking.sources import as_training_mask
from ...masking.wording import quoted, sentence

ASPECT_TOLERANCE = 0.01
# Filters overshoot black and white a little, and are clamped; what lies beyond was made in another range.
RANGE = (-0.25, 2.0)
# What an 8-bit mask would round to black selects nothing.
_FAINTEST_WEIGHT = 0.5 / 255


@dataclass(frozen=True)
class Reference:
    """One picture and what to learn from it.

    image: [H,W,3] float32 in 0..1. mask: [H,W] float32 in 0..1, 1 = learn, or None to learn all of the picture.
    The mask covers the same rectangle as the image but may have more pixels: a prepared reference keeps the mask at the
    resolution it was drawn in, so that its only reduction is the one to latent cells.
    weight and repeats say how often it is drawn in training, in proportion to weight * repeats.
    emphasis: [H,W] in 0..1 of the image's size, white where an error counts most, or None to count all of the mask
    alike.
    notes: what an artist should know about the files that it was read from.
    """

    image: Tensor
    mask: Tensor | None = None
    caption: str = ""
    weight: float = 1.0
    name: str = "reference"
    repeats: int = 1
    emphasis: Tensor | None = None
    notes: tuple[str, ...] = ()

    def latent_mask(self, latent_size: tuple[int, int], mode: str = "area") -> Tensor:
        """[1,1,h,w] float32; all ones without a mask."""
        mask = self.image.new_ones(self.image.shape[:2]) if self.mask is None else self.mask
        return to_latent_mask(mask, latent_size, mode)

    def latent_emphasis(self, latent_size: tuple[int, int]) -> Tensor | None:
        """[1,1,h,w] float32 in 0..1, averaged over each cell; None without an attention map."""
        return None if self.emphasis is None else to_latent_mask(self.emphasis, latent_size)


def make_reference(
    image: Tensor,
    mask: Tensor | None = None,
    caption: str = "",
    weight: float = 1.0,
    name: str = "reference",
    repeats: int = 1,
    emphasis: Tensor | None = None,
) -> Reference:
    """Check a picture and its mask and bring them to the form that Reference promises.

    image: [H,W,3], [H,W,4] (alpha is left out) or the same with a batch of one, floating point 0..1.
    mask, emphasis: any form that as_training_mask accepts, one each, of the picture's aspect.
    Raises ValueError with one sentence that names the reference.
    """
    image = _checked_image(image, name)
    if mask is not None:
        mask = _checked_mask(mask, image, name)
        refuse_flat_area(image, mask, name)
    if not (math.isfinite(weight) and weight > 0):
        raise ValueError(f"weight of {quoted(name)} is {weight}, expected a number above 0")
    if repeats < 1:
        raise ValueError(f"repeats of {quoted(name)} is {repeats}, expected 1 or more")
    if emphasis is not None:
        height, width = image.shape[:2]
        emphasis = resize_mask(_one_of_the_aspect(emphasis, image, f"attention map of {quoted(name)}"), width, height)
    return Reference(image, mask, caption, float(weight), name, repeats, emphasis)


def references_from_batch(
    images: Tensor, masks: Tensor | Sequence[Tensor] | None, caption: str = "", emphasis: Tensor | None = None
) -> list[Reference]:
    """References of a ComfyUI IMAGE [B,H,W,3] and a MASK [M,H,W], where one mask serves all pictures or each has its
    own.

    emphasis: the attention maps [M,H,W] of the pictures in the same manner, or None.
    Raises ValueError in one sentence for what is no batch, for an empty one, and for what make_reference refuses.
    """
    _require_batch(images)
    return _batch(images, match_masks(masks, len(images)), caption, emphasis)


def unmasked_references(images: Tensor, emphasis: Tensor | None = None) -> list[Reference]:
    """References of a ComfyUI IMAGE [B,H,W,3] that are learned as a whole; emphasis as in references_from_batch."""
    _require_batch(images)
    return _batch(images, [None] * len(images), "", emphasis)


def _require_batch(images: Tensor) -> None:
    if images.ndim != 4:
        raise ValueError(f"images of shape {list(images.shape)} came, expected [B,H,W,3]")
    if len(images) == 0:
        raise ValueError("the batch of images is empty, expected at least one")


def _batch(
    images: Tensor, masks: Tensor | Sequence[Tensor | None], caption: str, emphasis: Tensor | None
) -> list[Reference]:
    if emphasis is not None and len(emphasis) not in (1, len(images)):
        raise ValueError(f"{len(emphasis)} attention maps came for {len(images)} pictures, expected 1 or {len(images)}")
    maps = [None] * len(images) if emphasis is None else emphasis.expand(len(images), *emphasis.shape[1:])
    names = ["reference"] if len(images) == 1 else [f"reference {number}" for number in range(1, len(images) + 1)]
    return [
        make_reference(image, mask, caption, name=name, emphasis=attention_map)
        for image, mask, name, attention_map in zip(images, masks, names, maps, strict=True)
    ]


def _checked_image(image: Tensor, name: str) -> Tensor:
    if image.ndim == 4 and image.shape[0] == 1:
        image = image[0]  # 1HWC -> HWC
    if image.ndim != 3 or image.shape[-1] not in (3, 4) or 0 in image.shape:
        raise ValueError(f"image of {quoted(name)} has shape {list(image.shape)}, expected [H,W,3]")
    if not image.is_floating_point():
        raise ValueError(f"image of {quoted(name)} is of type {image.dtype}, expected floating point 0..1")
    image = image[..., :3].to(torch.float32)
    broken = int((~torch.isfinite(image)).any(dim=-1).sum())
    if broken:
        raise ValueError(
            f"image of {quoted(name)} is NaN or infinite at {broken} of {image.shape[0] * image.shape[1]} pixels"
        )
    low, high = (float(end) for end in image.aminmax())
    if low < RANGE[0] or high > RANGE[1]:
        raise ValueError(f"image of {quoted(name)} has values from {low:g} to {high:g}, expected 0 to 1")
    return image.clamp(0, 1)


def _checked_mask(mask: Tensor, image: Tensor, name: str) -> Tensor:
    """[H',W'] on the device of the image, H' and W' of its aspect."""
    refuse_unpainted(mask, name)
    return _one_of_the_aspect(mask, image, f"mask of {quoted(name)}")


def _one_of_the_aspect(mask: Tensor, image: Tensor, which: str) -> Tensor:
    """[H',W'] on the device of the image; `which` names it where it does not fit the image."""
    try:
        masks = as_training_mask(mask)
    except ValueError as reason:
        raise ValueError(sentence(f"{which}: {reason}")) from reason
    if len(masks) != 1:
        raise ValueError(f"{which} is a batch of {len(masks)}, expected one for one picture")
    mask = masks[0].to(image.device)
    (height, width), (mask_height, mask_width) = image.shape[:2], mask.shape
    # A mask that was made smaller had its sides rounded to whole pixels.
    rounding = 0.5 / mask_width + 0.5 / mask_height if mask_width < width and mask_height < height else 0.0
    if abs(math.log(mask_width / mask_height * height / width)) > ASPECT_TOLERANCE + rounding:
        raise ValueError(
            f"the {which} is {mask_width}x{mask_height} (aspect {mask_width / mask_height:.2f}), expected the aspect "
            f"of its picture, {width}x{height} ({width / height:.2f})"
        )
    return mask
