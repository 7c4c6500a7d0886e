"""Keeps small gradients alive on their way through a float16 model, unseen by the trainer.

Loss scaling (Micikevicius 2018, arXiv 1710.03740) without touching the loss: the gradient is multiplied where it enters
the model and divided by the same number where it leaves.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def scale_gradient(x: Tensor, factor: float) -> Tensor:
    """x itself, with its gradient multiplied by factor."""
    return x if factor == 1.0 else _ScaleGradient.apply(x, factor)


class _ScaleGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad * ctx.factor, None
