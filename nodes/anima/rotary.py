"""Lets gradient flow through ComfyUI's fused rotary op, which has a forward but no backward.

Anima's self-attention normalises and rotates queries and keys in one custom op, `comfy_kitchen.rms_rope_split_half`;
PyTorch refuses to differentiate it. Here the fused forward is kept and its backward is written out: the rotation is
orthogonal, so its transpose carries the gradient back, and the rest is the gradient of an RMS norm (Zhang and Sennrich
2019, arXiv 1910.07467).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import comfy_kitchen
import torch
from torch import Tensor


@contextmanager
def differentiable_rotary() -> Iterator[None]:
    """Inside, `comfy_kitchen.rms_rope_split_half` has a gradient; afterwards the name is what it was before.

    The name is swapped rather than a formula registered: a registration could not be taken back.
    """
    fused = comfy_kitchen.rms_rope_split_half
    comfy_kitchen.rms_rope_split_half = differentiable(fused)
    try:
        yield
    finally:
        comfy_kitchen.rms_rope_split_half = fused


def differentiable(fused: Callable[..., tuple[Tensor, Tensor]]) -> Callable[..., tuple[Tensor, Tensor]]:
    """The op `fused` with the same arguments and output, and with gradients for queries, keys and their scales."""

    def rms_rope_split_half(
        q: Tensor, k: Tensor, freqs_cis: Tensor, q_scale: Tensor, k_scale: Tensor | None = None, epsilon: float = 1e-6
    ) -> tuple[Tensor, Tensor]:
        k_scale = q_scale if k_scale is None else k_scale
        return _RmsRopeSplitHalf.apply(fused, q, k, freqs_cis, q_scale, k_scale, epsilon)

    return rms_rope_split_half


class _RmsRopeSplitHalf(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, fused: Callable, q: Tensor, k: Tensor, freqs: Tensor, q_scale: Tensor, k_scale: Tensor, epsilon: float
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(q, k, freqs, q_scale, k_scale)
        ctx.epsilon = epsilon
        return fused(q, k, freqs, q_scale, k_scale, epsilon)

    @staticmethod
    def backward(ctx: Any, q_grad: Tensor, k_grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, freqs, q_scale, k_scale = ctx.saved_tensors
        _, wants_q, wants_k, _, wants_q_scale, wants_k_scale, _ = ctx.needs_input_grad
        q_grads = rms_rope_backward(q_grad, q, freqs, q_scale, ctx.epsilon, (wants_q, wants_q_scale))
        k_grads = rms_rope_backward(k_grad, k, freqs, k_scale, ctx.epsilon, (wants_k, wants_k_scale))
        return None, q_grads[0], k_grads[0], None, q_grads[1], k_grads[1], None


def rms_rope_backward(
    grad: Tensor, x: Tensor, freqs: Tensor, scale: Tensor, epsilon: float, wanted: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients with respect to x and scale of rotate(x / rms(x) * scale), each None where not wanted.

    grad, x: [...,d]; freqs: the 2x2 rotation of each pair (i, i + d/2), broadcastable to [...,d/2,2,2]; scale: [d].
    Computed in float32, returned in the dtypes of x and scale.
    """
    if not any(wanted):
        return None, None
    normed_grad = rotate_back(grad.float(), freqs.float())
    x_float = x.float()
    inverse_rms = torch.rsqrt(x_float.square().mean(dim=-1, keepdim=True) + epsilon)
    normed = x_float * inverse_rms
    x_grad = scale_grad = None
    if wanted[0]:
        scaled_grad = normed_grad * scale.float()
        radial = (scaled_grad * normed).mean(dim=-1, keepdim=True)
        x_grad = ((scaled_grad - normed * radial) * inverse_rms).to(x.dtype)
    if wanted[1]:
        scale_grad = (normed_grad * normed).flatten(0, -2).sum(dim=0).to(scale.dtype)
    return x_grad, scale_grad


def rotate_back(grad: Tensor, freqs: Tensor) -> Tensor:
    """The transpose of the split-half rotation: grad [...,d], freqs broadcastable to [...,d/2,2,2]."""
    first, second = grad.chunk(2, dim=-1)
    return torch.cat(
        (
            freqs[..., 0, 0] * first + freqs[..., 1, 0] * second,
            freqs[..., 0, 1] * first + freqs[..., 1, 1] * second,
        ),
        dim=-1,
    )
