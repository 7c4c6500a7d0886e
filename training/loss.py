"""Says what counts as an error: the masked loss, and the prior preservation that guards what the mask leaves out.

Follows sd-scripts' masked loss and OneTrainer's masked training with prior preservation. An element whose weight is 0
is selected away instead of multiplied by 0, so that nothing it holds, NaN and infinity included, reaches loss or
gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor


def masked_diffusion_loss(
    prediction: Tensor,
    target: Tensor,
    latent_mask: Tensor,
    *,
    unmasked_weight: float = 0.0,
    normalize_area: bool = True,
    emphasis: Tensor | None = None,
) -> Tensor:
    """Squared error between `prediction` and `target` where the mask says so, one number for each row.

        e = mean over channels of (prediction - target)²
        w = clamp(latent_mask, unmasked_weight, 1), times `emphasis` where it is given
        L = mean(w·e) / mean(w)      with `normalize_area`: a small mask trains as strongly as a large one
          = mean(w·e)                without: sd-scripts' masked loss

    prediction, target: [B,C,h,w] or [B,C,T,h,w], any floating dtype; computed in float32.
    latent_mask: [B,1,h,w] or [1,1,h,w], 0..1, 1 = learn. emphasis: the same shape, 1 or more: how often a cell counts.
    Returns [B] float32. A row whose weights are all 0 has loss 0 and no gradient.
    Raises ValueError for latents that are not 4D or 5D, and for shapes that do not fit each other.
    """
    weight = latent_mask_like(prediction, latent_mask).clamp(unmasked_weight, 1.0)
    if emphasis is not None:
        weight = weight * latent_mask_like(prediction, emphasis)
    return weighted_mean(squared_error(prediction, target, weight > 0), weight, normalize_area)


def prior_preservation_loss(
    prediction: Tensor,
    base_prediction: Tensor,
    latent_mask: Tensor,
    *,
    unmasked_weight: float = 0.0,
) -> Tensor:
    """How far the tokens move the model where the mask is black, one number for each row.

        L = mean((1-w)·d) / mean(1-w)     d = mean over channels of (prediction - base_prediction)², w as in the masked
        loss

    The target outside the mask is the model's own prediction without tokens (OneTrainer's masked prior preservation).

    prediction, base_prediction: [B,C,h,w] or [B,C,T,h,w]; latent_mask: [B,1,h,w] or [1,1,h,w].
    Returns [B] float32; 0 for a row whose mask is white everywhere. Raises ValueError as `masked_diffusion_loss` does.
    """
    weight = 1.0 - latent_mask_like(prediction, latent_mask).clamp(unmasked_weight, 1.0)
    return weighted_mean(squared_error(prediction, base_prediction, weight > 0), weight, normalize_area=True)


def latent_mask_like(prediction: Tensor, latent_mask: Tensor) -> Tensor:
    """`latent_mask` [B,1,h,w] in float32, with a time axis where `prediction` has one: [B,1,h,w] or [B,1,1,h,w]."""
    if prediction.ndim not in (4, 5):
        raise ValueError("masked context training expects 4D or 5D reference latents")
    rows, size = prediction.shape[0], tuple(prediction.shape[-2:])
    if latent_mask.ndim != 4 or latent_mask.shape[0] not in (1, rows) or tuple(latent_mask.shape[1:]) != (1, *size):
        raise ValueError(
            f"latent mask has shape {list(latent_mask.shape)}, expected {[rows, 1, *size]} like the prediction"
        )
    mask = latent_mask.float()
    return mask.unsqueeze(2) if prediction.ndim == 5 else mask


def squared_error(prediction: Tensor, target: Tensor, selected: Tensor) -> Tensor:
    """Mean over channels of (prediction - target)², 0 where not `selected`: [B,C,...] with [B,1,...] -> [B,1,...]."""
    if prediction.shape != target.shape:
        raise ValueError(
            f"target has shape {list(target.shape)}, expected {list(prediction.shape)} like the prediction"
        )
    difference = prediction.float() - target.float()
    return difference.where(selected, difference.new_zeros(())).square().mean(dim=1, keepdim=True)


def weighted_mean(error: Tensor, weight: Tensor, normalize_area: bool) -> Tensor:
    """mean(weight·error) of each row, over the mean weight with `normalize_area`: [B,1,...] -> [B]."""
    mean = (weight * error).flatten(1).mean(1)
    if not normalize_area:
        return mean
    # An all-zero row divides 0 by the smallest float: 0, where a division by 0 would spread NaN over the batch.
    area = weight.flatten(1).mean(1)
    return mean / area.clamp_min(torch.finfo(area.dtype).tiny)
