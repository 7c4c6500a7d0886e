"""What one reference is and how it gets to training size, because picture and mask must stay one from the file to the latents."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor

from ..masking.framing import Framed, crop_to_aspect, crop_to_mask, flip, letterbox, resize_mask, resize_picture
from ..masking.latent import match_masks, to_latent_mask
from ..masking.sources import as_training_mask, extract_mask
from .image_file import read_image

Fit = Literal["stretch", "crop", "letterbox"]

FITS: dict[Fit, str] = {
    "stretch": "the nearest size of the same aspect; a side is stretched by a few pixels where it is no multiple of 16",
    "crop": "the same size without stretching: a few pixels are cut at two sides instead",
    "letterbox": "a square; the free part is gray and has weight 0 in the mask",
}

ASPECT_TOLERANCE = 0.01
# What an 8-bit mask would round to black selects nothing.
_FAINTEST_WEIGHT = 0.5 / 255


@dataclass(frozen=True)
class Reference:
    """One picture and what to learn from it.

    image: [H,W,3] float32 in 0..1. mask: [H,W] float32 in 0..1, 1 = learn, or None to learn all of the picture.
    The mask covers the same rectangle as the image but may have more pixels: a prepared reference keeps the mask at the
    resolution it was drawn in, so that its only reduction is the one to latent cells.
    weight and repeats say how often it is drawn in training, in proportion to weight * repeats.
    attention: [H,W] in 0..1 of the image's size, white where an error counts most, or None to count all of the mask alike.
    notes: what an artist should know about the files that it was read from.
    """

    image: Tensor
    mask: Tensor | None = None
    caption: str = ""
    weight: float = 1.0
    name: str = "reference"
    repeats: int = 1
    attention: Tensor | None = None
    notes: tuple[str, ...] = ()

    def latent_mask(self, latent_size: tuple[int, int], mode: str = "area") -> Tensor:
        """[1,1,h,w] float32; all ones without a mask."""
        mask = self.image.new_ones(self.image.shape[:2]) if self.mask is None else self.mask
        return to_latent_mask(mask, latent_size, mode)

    def latent_attention(self, latent_size: tuple[int, int]) -> Tensor | None:
        """[1,1,h,w] float32 in 0..1, averaged over each cell; None without an attention map."""
        return None if self.attention is None else to_latent_mask(self.attention, latent_size)


@dataclass(frozen=True)
class Framing:
    """How references are brought to training size; the steps run in the order crop, fit, resize, flip."""

    size: int = 512  # the area of a training picture is size²
    multiple: int = 16  # of both sides: 8x codec times patch size 2
    fit: Fit = "stretch"
    crop_margin: float | None = None  # crop to the mask with this share of its longer side around it; None does not crop
    enlarge: bool = True  # False trains pictures smaller than size² at their own size
    flip: bool = False
    padding: float = 0.5  # gray of the letterbox

    def __post_init__(self) -> None:
        if self.size <= 0:
            raise ValueError(f"training size is {self.size}, expected a positive number of pixels")
        if self.multiple <= 0:
            raise ValueError(f"size multiple is {self.multiple}, expected a positive number of pixels")
        if self.fit not in FITS:
            raise ValueError(f"unknown fit {self.fit!r}, expected one of: {', '.join(get_args(Fit))}")
        if self.crop_margin is not None and not (math.isfinite(self.crop_margin) and self.crop_margin >= 0):
            raise ValueError(f"crop margin is {self.crop_margin}, expected 0 or more (0.1 = a tenth of the subject's longer side)")
        if not 0 <= self.padding <= 1:
            raise ValueError(f"letterbox padding is {self.padding}, expected a gray from 0 to 1")


def training_size(width: int, height: int, size: int, multiple: int = 16) -> tuple[int, int]:
    """(width, height) nearest to the aspect of a picture and to the area size², both multiples of multiple."""
    if width <= 0 or height <= 0:
        raise ValueError(f"a picture of {width}x{height} pixels came, expected at least 1x1")
    if size <= 0:
        raise ValueError(f"training size is {size}, expected a positive number of pixels")
    ideal_width = size * math.sqrt(width / height)
    ideal_height = size * math.sqrt(height / width)

    def error(candidate: tuple[int, int]) -> float:
        stretched_x, stretched_y = math.log(candidate[0] / ideal_width), math.log(candidate[1] / ideal_height)
        return abs(stretched_x - stretched_y) + abs(stretched_x + stretched_y)  # of the aspect, of the area

    candidates = [(x, y) for x in _multiples_around(ideal_width, multiple) for y in _multiples_around(ideal_height, multiple)]
    return min(candidates, key=error)


def _multiples_around(length: float, multiple: int) -> list[int]:
    below = max(1, math.floor(length / multiple))
    return [below * multiple, (below + 1) * multiple]


def make_reference(
    image: Tensor,
    mask: Tensor | None = None,
    caption: str = "",
    weight: float = 1.0,
    name: str = "reference",
    repeats: int = 1,
    attention: Tensor | None = None,
) -> Reference:
    """Check a picture and its mask and bring them to the form that Reference promises.

    image: [H,W,3], [H,W,4] (alpha is left out) or the same with a batch of one, floating point 0..1.
    mask, attention: any form that as_training_mask accepts, one each, of the picture's aspect.
    Raises ValueError with one sentence that names the reference.
    """
    image = _checked_image(image, name)
    if mask is not None:
        mask = _checked_mask(mask, image, name)
    if not (math.isfinite(weight) and weight > 0):
        raise ValueError(f"weight of {name!r} is {weight}, expected a number above 0")
    if repeats < 1:
        raise ValueError(f"repeats of {name!r} is {repeats}, expected 1 or more")
    if attention is not None:
        height, width = image.shape[:2]
        attention = resize_mask(_one_of_the_aspect(attention, image, f"attention map of {name!r}"), width, height)
    return Reference(image, mask, caption, float(weight), name, repeats, attention)


def references_from_batch(
    images: Tensor, masks: Tensor | Sequence[Tensor] | None, caption: str = "", attention: Tensor | None = None
) -> list[Reference]:
    """References of a ComfyUI IMAGE [B,H,W,3] and a MASK [M,H,W], where one mask serves all pictures or each has its own.

    attention: the attention maps [M,H,W] of the pictures in the same manner, or None.
    """
    return _batch(images, match_masks(masks, len(images)), caption, attention)


def unmasked_references(images: Tensor, attention: Tensor | None = None) -> list[Reference]:
    """References of a ComfyUI IMAGE [B,H,W,3] that are learned as a whole; attention as in references_from_batch."""
    return _batch(images, [None] * len(images), "", attention)


def _batch(images: Tensor, masks: Tensor | Sequence[Tensor | None], caption: str, attention: Tensor | None) -> list[Reference]:
    if attention is not None and len(attention) not in (1, len(images)):
        raise ValueError(f"{len(attention)} attention maps came for {len(images)} pictures, expected 1 or {len(images)}")
    maps = [None] * len(images) if attention is None else attention.expand(len(images), *attention.shape[1:])
    names = ["reference"] if len(images) == 1 else [f"reference {number}" for number in range(1, len(images) + 1)]
    return [
        make_reference(image, mask, caption, name=name, attention=attention_map)
        for image, mask, name, attention_map in zip(images, masks, names, maps, strict=True)
    ]


def read_reference(
    image_path: str | Path,
    mask_path: str | Path | None = None,
    mask_source: str | None = None,
    caption: str = "",
    weight: float = 1.0,
    repeats: int = 1,
    attention_path: str | Path | None = None,
) -> Reference:
    """A reference from a picture file, its mask from a mask file (by luminance unless mask_source says otherwise).

    Without a mask file, mask_source "alpha" or "transparent" reads the picture's own alpha; with neither, all of it is learned.
    """
    image_path = Path(image_path)
    loaded = read_image(image_path)
    notes = loaded.notes
    mask = None
    if mask_path is not None or mask_source is not None:
        source = loaded
        if mask_path is not None:
            source = read_image(mask_path)
            notes += tuple(f"its mask: {note}" for note in source.notes)
        try:
            mask = extract_mask(mask_source or "luminance", picture=source.picture)
        except ValueError as reason:
            raise ValueError(f"no mask from {str(mask_path or image_path)!r}: {reason}") from reason
    attention = None if attention_path is None else extract_mask("luminance", picture=read_image(attention_path).picture)
    return replace(make_reference(loaded.rgb, mask, caption, weight, image_path.name, repeats, attention), notes=notes)


def prepare_reference(reference: Reference, framing: Framing) -> Reference:
    """Frame and resize a checked reference for training.

    Returns a reference whose image is [h,w,3] at training size and whose mask, never None, covers the same rectangle at the
    resolution of the source. Reduce it with latent_mask.
    """
    framed, size = frame_reference(reference, framing)
    return resize_framed(reference, framed, size, framing.flip)


def frame_reference(reference: Reference, framing: Framing) -> tuple[Framed, tuple[int, int]]:
    """Picture and mask, cropped and fitted at the resolution of the source, and the (width, height) to resize the picture to."""
    height, width = reference.image.shape[:2]
    mask = reference.image.new_ones(height, width) if reference.mask is None else resize_mask(reference.mask, width, height)
    image = reference.image
    if reference.attention is not None:
        image = torch.cat([image, reference.attention[..., None]], dim=-1)  # a fourth channel goes wherever the picture goes
    framed = Framed(image, mask)
    if framing.crop_margin is not None:
        framed = crop_to_mask(framed, framing.crop_margin)
    return _fitted(framed, framing)


def resize_framed(reference: Reference, framed: Framed, size: tuple[int, int], mirrored: bool) -> Reference:
    """The reference with a framed picture resized to (width, height), its mask at the resolution it has."""
    framed = Framed(resize_picture(framed.image, *size), framed.mask)
    if mirrored:
        framed = flip(framed)
    if float(framed.mask.max()) < _FAINTEST_WEIGHT:
        raise ValueError(f"the mask of {reference.name!r} selects nothing once the picture is cropped to its training size")
    attention = framed.image[..., 3] if framed.image.shape[-1] == 4 else None
    return replace(reference, image=framed.image[..., :3], mask=framed.mask, attention=attention)


def _fitted(framed: Framed, framing: Framing) -> tuple[Framed, tuple[int, int]]:
    """The framed picture at source resolution and the (width, height) to resize it to."""
    if framing.fit == "letterbox":
        framed = letterbox(framed, 1.0, framing.padding)
    height, width = framed.mask.shape
    size = framing.size if framing.enlarge else min(framing.size, math.ceil(math.sqrt(width * height)))
    target = training_size(width, height, size, framing.multiple)
    if framing.fit == "crop":
        framed = crop_to_aspect(framed, target[0] / target[1])
    return framed, target


def _checked_image(image: Tensor, name: str) -> Tensor:
    if image.ndim == 4 and image.shape[0] == 1:
        image = image[0]  # 1HWC -> HWC
    if image.ndim != 3 or image.shape[-1] not in (3, 4) or 0 in image.shape:
        raise ValueError(f"image of {name!r} has shape {list(image.shape)}, expected [H,W,3]")
    if not image.is_floating_point():
        raise ValueError(f"image of {name!r} is of type {image.dtype}, expected floating point 0..1")
    image = image[..., :3].to(torch.float32)
    broken = int((~torch.isfinite(image)).any(dim=-1).sum())
    if broken:
        raise ValueError(f"image of {name!r} is NaN or infinite at {broken} of {image.shape[0] * image.shape[1]} pixels")
    return image.clamp(0, 1)


def _checked_mask(mask: Tensor, image: Tensor, name: str) -> Tensor:
    """[H',W'] on the device of the image, H' and W' of its aspect."""
    mask = _one_of_the_aspect(mask, image, f"mask of {name!r}")
    if float(mask.max()) < _FAINTEST_WEIGHT:
        raise ValueError(f"the mask of {name!r} selects nothing: every pixel is black (0), expected white (1) where the picture shall be learned")
    return mask


def _one_of_the_aspect(mask: Tensor, image: Tensor, which: str) -> Tensor:
    """[H',W'] on the device of the image; `which` names it where it does not fit the image."""
    try:
        masks = as_training_mask(mask)
    except ValueError as reason:
        raise ValueError(f"{which}: {reason}") from reason
    if len(masks) != 1:
        raise ValueError(f"{which} is a batch of {len(masks)}, expected one for one picture")
    mask = masks[0].to(image.device)
    (height, width), (mask_height, mask_width) = image.shape[:2], mask.shape
    # A mask that was made smaller had its sides rounded to whole pixels.
    rounding = 0.5 / mask_width + 0.5 / mask_height if mask_width < width and mask_height < height else 0.0
    if abs(math.log(mask_width / mask_height * height / width)) > ASPECT_TOLERANCE + rounding:
        raise ValueError(
            f"the {which} is {mask_width}x{mask_height} (aspect {mask_width / mask_height:.2f}), "
            f"expected the aspect of its picture, {width}x{height} ({width / height:.2f})"
        )
    return mask
