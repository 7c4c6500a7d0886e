"""RMS norm and rotary positions of queries and keys as one operation that keeps only its input.

Written out, torch keeps the normed and the rotated vectors too and goes over them a dozen times. Here the norm's weight
is folded into the tables of cosines and sines, and the backward pass is the transpose of the rotation followed by the
gradient of an RMS norm (Zhang and Sennrich 2019, arXiv 1910.07467).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def normed_and_rotated(x: Tensor, cosine: Tensor, sine: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """rotate(x / rms(x) * weight) for heads x [B,L,H,d] in the split-half layout: pairs are (i, i + d/2).

    cosine, sine: [L,d/2]; weight: [d], frozen. Computed in float32, returned in the dtype of x.
    """
    both = weight.float()
    cosines = torch.cat((cosine, cosine), -1).float() * both
    sines = torch.cat((-sine, sine), -1).float() * _halves_swapped(both)
    return _NormedAndRotated.apply(x, cosines[:, None], sines[:, None], epsilon)


class _NormedAndRotated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cosines: Tensor, sines: Tensor, epsilon: float) -> Tensor:
        ctx.save_for_backward(x, cosines, sines)
        ctx.epsilon = epsilon
        wide = x.float()
        rotated = torch.addcmul(wide * cosines, _halves_swapped(wide), sines)
        return rotated.mul_(_inverse_rms(wide, epsilon)).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, cosines, sines = ctx.saved_tensors
        wide, grad = x.float(), grad.float()
        back = torch.addcmul(_halves_swapped(grad * sines), grad, cosines)
        inverse = _inverse_rms(wide, ctx.epsilon)
        radial = (back * wide).mean(-1, keepdim=True).mul_(inverse.square()).neg_()
        return back.addcmul_(wide, radial).mul_(inverse).to(x.dtype), None, None, None


def _inverse_rms(x: Tensor, epsilon: float) -> Tensor:
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return length.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()


def _halves_swapped(x: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    return torch.cat((x[..., half:], x[..., :half]), -1)
