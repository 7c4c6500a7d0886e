"""Where a training mask comes from, because alpha channels, painted pictures and ComfyUI masks disagree on what white
means."""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from .wording import quoted

MaskSource = Literal["mask", "inverted mask", "red", "luminance", "alpha", "transparent"]

MASK_SOURCES: dict[MaskSource, str] = {
    "mask": "the MASK as it is: white (1) is learned, black (0) is ignored",
    "inverted mask": "the MASK inverted: black (0) is learned. The MASK of Load Image is 1 where the picture is "
    "transparent, so this choice learns its opaque pixels",
    "red": "the red channel of a mask picture: white is learned, black is ignored, 127 counts half (the rule of "
    "sd-scripts)",
    "luminance": "the brightness of a mask picture: white is learned, black is ignored",
    "alpha": "the alpha channel of the picture: opaque pixels are learned",
    "transparent": "the alpha channel of the picture: transparent pixels are learned",
}

# Filters overshoot black and white a little, and are clamped; what lies beyond was made in another range.
_RANGE = (-1.0, 2.0)

# ITU-R BT.601, the weights of Pillow's "L" mode, so that a gray conversion in an image editor gives the same mask.
_LUMINANCE_WEIGHTS = (0.299, 0.587, 0.114)


def as_training_mask(mask: Tensor) -> Tensor:
    """Bring any mask tensor to the one form the rest of the package works with.

    mask: [H,W], [B,H,W] or [B,1,H,W]; floating point 0..1, bool, or uint8 0..255.
    Returns [B,H,W] float32 in 0..1 on the same device; values from -1 to 2 are clamped. The input is never changed.
    Raises ValueError for other shapes and types, for an empty tensor, and for weights far outside of 0..1, NaN or
    infinite.
    """
    if mask.ndim == 4 and mask.shape[-1] == 1 and mask.shape[1] != 1:
        raise ValueError(
            f"a mask of shape {list(mask.shape)} came, with its channel at the end, expected [B,H,W] or [B,1,H,W]"
        )
    if mask.ndim == 4 and mask.shape[1] == 1:
        mask = mask[:, 0]  # B1HW -> BHW
    elif mask.ndim == 2:
        mask = mask.unsqueeze(0)  # HW -> BHW
    if mask.ndim != 3:
        raise ValueError(f"a mask of shape {list(mask.shape)} came, expected [H,W], [B,H,W] or [B,1,H,W]")
    if mask.shape[0] == 0:
        raise ValueError("at least one reference mask is required")
    if mask.numel() == 0:
        raise ValueError(f"a mask of {mask.shape[2]}x{mask.shape[1]} pixels came, expected at least one pixel")
    if mask.dtype == torch.uint8:
        return mask.to(torch.float32) / 255
    if mask.dtype == torch.bool:
        return mask.to(torch.float32)
    if not mask.is_floating_point():
        raise ValueError(f"a mask of type {mask.dtype} came, expected floating point 0..1 or uint8 0..255")
    # The conversion may turn a huge float64 into infinity, so the check comes after it.
    mask = mask.to(torch.float32)
    broken = int((~torch.isfinite(mask)).sum())
    if broken:
        raise ValueError(
            f"the mask is NaN or infinite at {broken} of {mask.numel()} pixels, expected weights from 0 to 1"
        )
    low, high = (float(end) for end in mask.aminmax())
    if low < _RANGE[0] or high > _RANGE[1]:
        raise ValueError(f"the mask has weights from {low:g} to {high:g}, expected 0 to 1")
    return mask.clamp(0, 1)


def extract_mask(source: str, *, mask: Tensor | None = None, image: Tensor | None = None) -> Tensor:
    """Training mask of a source named in MASK_SOURCES.

    mask: a ComfyUI MASK, needed by "mask" and "inverted mask".
    image: [H,W,C] or [B,H,W,C] in 0..1 with C = 3, or C = 4 for "alpha" and "transparent"; needed by the other
    sources. Returns [B,H,W] float32 in 0..1, 1 = learn. Raises ValueError where the source is unknown or what it reads
    is missing, and for a MASK to be inverted that is black everywhere.
    """
    if source not in MASK_SOURCES:
        raise ValueError(f"unknown mask source {quoted(source)}, expected one of: {_listed(get_args(MaskSource))}")
    if source in ("mask", "inverted mask"):
        if mask is None:
            raise ValueError(f"mask source {source!r} reads a MASK, but none came")
        weights = as_training_mask(mask)
        if source == "inverted mask" and not weights.any():
            # Load Image gives 64x64 black pixels for a file without alpha: its inverse would learn the background in
            # silence.
            raise ValueError(
                "the MASK to invert is black everywhere, as Load Image gives it for a picture without transparency; "
                "expected the MASK of a cut-out picture (for a mask that you painted, choose the MASK as it is)"
            )
    else:
        if image is None:
            raise ValueError(f"mask source {source!r} reads a picture, but none came")
        weights = _channel_of_image(source, image)
    return 1 - weights if source in ("inverted mask", "transparent") else weights


def _channel_of_image(source: str, image: Tensor) -> Tensor:
    """[H,W,C] or [B,H,W,C] -> [B,H,W] float32."""
    if image.ndim == 3:
        image = image.unsqueeze(0)  # HWC -> BHWC
    if image.ndim != 4 or image.shape[-1] not in (3, 4):
        raise ValueError(
            f"mask source {source!r} got a picture of shape {list(image.shape)}, expected [B,H,W,3] or [B,H,W,4]"
        )
    if source in ("alpha", "transparent"):
        if image.shape[-1] != 4:
            raise ValueError(f"mask source {source!r} reads the alpha channel, but the picture has none; expected RGBA")
        return as_training_mask(image[..., 3])
    if source == "red":
        return as_training_mask(image[..., 0])
    red, green, blue = (as_training_mask(channel) for channel in image[..., :3].unbind(-1))
    return red * _LUMINANCE_WEIGHTS[0] + green * _LUMINANCE_WEIGHTS[1] + blue * _LUMINANCE_WEIGHTS[2]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
