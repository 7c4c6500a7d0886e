"""How a training mask gets to latent resolution, because the loss weighs latent cells and not pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, overload

import torch
import torch.nn.functional as F
from torch import Tensor

from .sources import as_training_mask
from .wording import quoted

Reduction = Literal["area", "max"]

REDUCTIONS: dict[Reduction, str] = {
    "area": "each latent cell weighs as much as the share of it that the mask covers (as in sd-scripts)",
    "max": "each latent cell weighs as much as the strongest mask pixel in it, so that thin parts are kept",
}

Mask = TypeVar("Mask")

# Where a warning is due: a drawn area that vanishes, a mask that is hardly there, a mask that is hardly a mask.
LARGEST_VANISHED_SHARE = 0.20
SMALLEST_COVERAGE = 0.01
SMALL_COVERAGE = 0.08  # below it a crop gives the subject several times the cells
LARGEST_COVERAGE = 0.90


def to_latent_mask(mask: Tensor, latent_size: tuple[int, int], mode: str = "area") -> Tensor:
    """Reduce a mask to latent resolution.

    mask: [H,W], [B,H,W] or [B,1,H,W]; floating point 0..1, bool, or uint8 0..255 (127 gives 0.498).
    latent_size: (h, w) of the latents. Sides that do not divide evenly share their border pixels, as adaptive pooling
    does.
    mode: "area" averages the pixels of a latent cell (sd-scripts' rule), "max" takes the strongest.
    Returns [B,1,h,w] float32 in 0..1 on the device of the mask.
    """
    height, width = latent_size
    if height < 1 or width < 1:
        raise ValueError(f"a latent size of {width}x{height} came, expected at least 1x1")
    if mode not in REDUCTIONS:
        raise ValueError(f"unknown mask reduction {quoted(mode)}, expected 'area' or 'max'")
    weights = as_training_mask(mask).unsqueeze(1)  # BHW -> B1HW
    device = weights.device
    if device.type == "mps":
        weights = weights.cpu()  # MPS pools adaptively only where the sides divide evenly, and knows no float64
    if mode == "max":
        return F.adaptive_max_pool2d(weights, (height, width)).to(device)
    # float64 because a float32 sum over a cell of a thousand pixels a side is off by more than 1e-5
    reduced = F.interpolate(weights.to(torch.float64), size=(height, width), mode="area")
    return reduced.to(torch.float32).clamp(0, 1).to(device)


@overload
def match_masks(masks: Tensor | None, reference_count: int) -> Tensor: ...
@overload
def match_masks(masks: Sequence[Mask], reference_count: int) -> list[Mask]: ...
def match_masks(masks: Tensor | Sequence[Mask] | None, reference_count: int) -> Tensor | list[Mask]:
    """Give every reference its mask: one mask serves all, otherwise there must be as many masks as references.

    masks: a tensor [M,H,W] or [M,1,H,W] (or one mask [H,W]), or a sequence of M masks that may differ in size.
    Returns a tensor [N,...] or a list of N masks, N = reference_count.
    """
    if masks is None or len(masks) == 0:
        raise ValueError("at least one reference mask is required")
    if isinstance(masks, Tensor):
        if masks.ndim == 2:
            masks = masks.unsqueeze(0)
        if masks.ndim not in (3, 4) or (masks.ndim == 4 and masks.shape[1] != 1):
            raise ValueError(f"masks of shape {list(masks.shape)} came, expected [B,H,W] or [B,1,H,W]")
    if len(masks) not in (1, reference_count):
        raise ValueError("reference mask count must be 1 or match reference image count")
    if isinstance(masks, Tensor):
        return masks.expand(reference_count, *masks.shape[1:])
    return list(masks) * reference_count if len(masks) == 1 else list(masks)


def coverage(mask: Tensor) -> Tensor:
    """Mean weight of each mask: [B,1,h,w] or [B,H,W] -> [B] in 0..1, shown to the user as a percentage."""
    return mask.flatten(1).mean(dim=1, dtype=torch.float64).to(torch.float32)


@dataclass(frozen=True)
class ReductionReport:
    """What became of one drawn mask on its way to latent resolution; all three are shares from 0 to 1."""

    drawn_coverage: float
    latent_coverage: float
    vanished: float

    @property
    def warnings(self) -> list[str]:
        """One sentence for each thing an artist should know before training; empty when all is well."""
        sentences = []
        if self.vanished > LARGEST_VANISHED_SHARE:
            sentences.append(
                f"{self.vanished:.0%} of the drawn area vanished in the reduction to latent cells: parts are thinner "
                "than a cell; "
                'choose the reduction "max", grow the mask, or crop to it.'
            )
        if self.latent_coverage < SMALLEST_COVERAGE:
            sentences.append(
                f"The mask covers only {self.latent_coverage:.2%} of the frame, so there is little to learn from; crop "
                "to the mask, or grow it."
            )
        elif self.latent_coverage < SMALL_COVERAGE:
            sentences.append(
                f"The mask covers only {self.latent_coverage:.1%} of the frame: switch crop_to_mask on in Training "
                "Options, so that the subject fills it."
            )
        if self.latent_coverage > LARGEST_COVERAGE:
            sentences.append(
                f"The mask covers {self.latent_coverage:.1%} of the frame, so nearly all of the background is learned "
                "too; was it meant to be inverted?"
            )
        return sentences


def report_reduction(mask: Tensor, latent_mask: Tensor) -> ReductionReport:
    """Compare one mask [H,W] with its latent mask [1,1,h,w].

    The vanished share is the part of the drawn weight that lies in latent cells of less than half the weight drawn
    there. A line of one pixel in cells of eight vanishes wholly in "area" (weight 0.125) and not at all in "max"
    (weight 1).
    """
    drawn = as_training_mask(mask)  # 1HW
    cells = F.interpolate(latent_mask.to(drawn), size=drawn.shape[-2:], mode="nearest-exact")[:, 0]
    weight = float(drawn.sum(dtype=torch.float64))
    lost = float(drawn[cells < drawn / 2].sum(dtype=torch.float64))
    return ReductionReport(
        drawn_coverage=float(coverage(drawn)[0]),
        latent_coverage=float(coverage(latent_mask)[0]),
        vanished=lost / weight if weight > 0 else 0.0,
    )
