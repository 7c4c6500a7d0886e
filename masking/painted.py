"""Pictures whose colours are not to be trusted where their mask selects them.

A canvas keeps no colour for a transparent pixel, and the mask editor of ComfyUI's frontend 1.47.3 to 1.48.6 saved
painted pictures through one: they are black (0, 0, 0) exactly where they were painted, which is where training looks. A
cut-out picture whose mask is wired the wrong way round fails alike: its transparent background has one flat colour.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from .framed import resize_mask

# Premultiplying by alpha rounds each colour by up to one of 255 levels, as seen through that alpha.
_ROUNDING = 1.01
# Half of an 8-bit level: what an 8-bit picture cannot tell from the colour itself.
_SAME_LEVEL = 0.5 / 255
_SMALLEST_AREA = 64  # pixels; fewer prove nothing
_LARGEST_EXCEPTION = 0.005  # of the selected pixels: a picture that was resized has a softer edge than its mask
_RING = 3  # pixels outside of the mask, in which the flat colour has to end
_LARGEST_RING_SHARE = 0.5
_BORDER_SHARE = 0.7  # of the outermost pixels: a mask that selects so many selects what is around the subject

FlatArea = Literal["painted", "cut-out"]


def restore_colours(rgb: Tensor, alpha: Tensor, colours: Tensor, ignored: Tensor | None = None) -> Tensor | None:
    """The colours of a painted picture, from a copy of it that kept them.

    rgb, colours: [H,W,3], alpha: [H,W]; all uint8 0..255, or all floating point 0..1, alpha 1 = opaque.
    ignored: [H,W] bool, where the copy may show something else and rgb stays as it is.
    Returns rgb with `colours` wherever alpha is below opaque, or None where nothing is to be done: no colours are lost,
    or `colours` shows another picture. It shows the same one where both look alike through alpha, and where what is
    wholly transparent is black in rgb or alike in both.
    """
    if rgb.shape != colours.shape:
        return None
    full = 255 if rgb.dtype == torch.uint8 else 1
    differs = (rgb != colours).any(dim=-1)
    if ignored is not None:
        differs = differs & ~ignored
    own, other, weight = rgb[differs].float(), colours[differs].float(), alpha[differs].float() / full
    seen = (own - other).abs().amax(dim=-1) * weight  # how far apart they look, [N]
    if bool((seen > _ROUNDING * full / 255).any()) or bool((own[weight == 0] != 0).any()):
        return None
    painted = differs & (alpha < full)
    return torch.where(painted.unsqueeze(-1), colours, rgb) if bool(painted.any()) else None


def flat_area(image: Tensor, mask: Tensor) -> FlatArea | None:
    """What a mask selects where all of it has one colour that ends where the mask ends; None in any other case.

    image: [H,W,3] floating point 0..1. mask: [H',W'] in 0..1 of its aspect, 1 = learn.
    "painted": it is black (0, 0, 0), as the mask editor leaves it. "cut-out": it has any one colour, and the mask
    selects most of the picture's border, as that of a cut-out's transparent background does.

    A really black cat is neither: its mask reaches over its edge, where the picture is not black, or stays inside,
    where the black goes on outside of the mask. Only a mask that follows a pure black shape to the pixel is mistaken.
    """
    height, width = image.shape[:2]
    selected = resize_mask(mask, width, height) >= 1 - _SAME_LEVEL
    if not _SMALLEST_AREA <= int(selected.sum()) < selected.numel():
        return None
    colour = image[selected].median(dim=0).values
    flat = (image - colour).abs().amax(dim=-1) < _SAME_LEVEL
    if float(flat[selected].float().mean()) < 1 - _LARGEST_EXCEPTION:
        return None
    ring = _grown(selected, _RING) & ~selected
    if float(flat[ring].float().mean()) > _LARGEST_RING_SHARE:
        return None
    border = torch.cat([selected[0], selected[-1], selected[:, 0], selected[:, -1]])
    if float(border.float().mean()) >= _BORDER_SHARE:
        return "cut-out"
    return "painted" if float(colour.max()) < _SAME_LEVEL else None


def refuse_unpainted(mask: Tensor, name: str) -> None:
    """Raises ValueError in one sentence for a mask of any shape that is black everywhere.

    Load Image gives one, 64x64, for a picture that nobody has painted. To be asked first, since that mask seldom has
    the aspect of its picture.
    """
    full = 255 if mask.dtype == torch.uint8 else 1
    # What an 8-bit mask would round to black selects nothing. A broken mask is not black: NaN is above nothing.
    if mask.numel() and not mask.isnan().any() and float(mask.max()) < _SAME_LEVEL * full:
        raise ValueError(
            "no mask is painted yet: right-click Load Image, choose Open in MaskEditor, paint over the character and "
            f"press Save (the mask of {name!r} selects nothing: every pixel is black)"
        )


def refuse_flat_area(image: Tensor, mask: Tensor, name: str) -> None:
    """Raises ValueError in one sentence where training would learn one flat colour; the arguments of flat_area, and the
    name of the reference."""
    kind = flat_area(image, mask)
    if kind == "painted":
        raise ValueError(
            f"the picture of {name!r} is black wherever its mask selects it: ComfyUI's mask editor (frontend 1.47.3 to "
            "1.48.6) saved it without its colours; load the original in a second Load Image for IMAGE and keep this "
            "MASK, or update the frontend and paint the original again"
        )
    if kind == "cut-out":
        raise ValueError(
            f"the mask of {name!r} selects a background of one flat colour, which looks like a cut-out: choose "
            "'inverted mask' in Training Options or Mask Source to learn its opaque pixels (if you painted this mask, "
            "paint it again on the original picture)"
        )


def _grown(selected: Tensor, pixels: int) -> Tensor:
    """[H,W] bool, grown by so many pixels on all sides."""
    spread = functional.max_pool2d(selected[None, None].float(), 2 * pixels + 1, stride=1, padding=pixels)
    return spread[0, 0] > 0
