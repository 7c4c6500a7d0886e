"""A linear layer with two thin matrices beside it, without passes over memory that only add up.

Written out as `layer(x) + x @ down.T @ up.T`, the two thin products cost little and the sums around them cost a tenth
of the layer: one over its output, and in the backward pass one over its input. Here both are added up within a product.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def with_low_rank(own_forward: Callable[[Tensor], Tensor], x: Tensor, down: Tensor, up: Tensor) -> Tensor:
    """own_forward(x) [...,out] for x [...,in], plus x @ down.T @ up.T of down [rank,in] and up [out,rank], all of one
    dtype. The layer's own output is written over where nobody else can hold it."""
    if x.requires_grad and torch.is_grad_enabled():
        x, hidden = _Down.apply(x, down)
    else:
        hidden = functional.linear(x, down)
    out = own_forward(x)
    if out.dtype != hidden.dtype or out is x or out._is_view() or not out.is_contiguous():
        return plus(out, functional.linear(hidden, up))
    return _Up.apply(out, hidden, up)


def plus(out: Tensor, move: Tensor) -> Tensor:
    """A layer's output and what is added to it, in the dtype of the output."""
    return out + move.to(out.dtype)


class _Down(torch.autograd.Function):
    """(x, x @ down.T); the gradients of both come back as one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, down: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(x, down)
        return x.view_as(x), functional.linear(x, down)

    @staticmethod
    def backward(ctx: Any, x_gradient: Tensor, hidden_gradient: Tensor) -> tuple[Tensor, Tensor | None]:
        x, down = ctx.saved_tensors
        thin = hidden_gradient.flatten(0, -2)
        whole = torch.addmm(x_gradient.flatten(0, -2), thin, down).view_as(x)
        return whole, thin.T @ x.flatten(0, -2) if ctx.needs_input_grad[1] else None


class _Up(torch.autograd.Function):
    """out + hidden @ up.T, written over out."""

    @staticmethod
    def forward(ctx: Any, out: Tensor, hidden: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(hidden, up)
        ctx.mark_dirty(out)
        out.view(-1, out.shape[-1]).addmm_(hidden.flatten(0, -2), up.T)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        hidden, up = ctx.saved_tensors
        _, needs_hidden, needs_up = ctx.needs_input_grad
        return (
            gradient,
            functional.linear(gradient, up.T) if needs_hidden else None,
            (hidden.flatten(0, -2).T @ gradient.flatten(0, -2)).T if needs_up else None,
        )
