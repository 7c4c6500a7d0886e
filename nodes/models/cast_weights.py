"""Lets linear layers whose weight is cast forget the cast copy, which autograd would keep until the backward pass.

A model in fp8, or in another precision than it computes in, is cast layer by layer as it is used. The gradient of a
layer's input needs the weight once more; kept from the forward pass, the copies of all layers come to the whole model
in the wider type. Here a layer casts once more instead, which takes a pass over the weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import comfy.ops
import torch
from torch import Tensor, nn

OWN_FORWARD = comfy.ops.disable_weight_init.Linear.forward


@contextmanager
def weights_cast_again(module: nn.Module) -> Iterator[None]:
    """Inside, linear layers of ComfyUI's that cast their weight keep nothing for the backward pass. Those that have a
    forward of their own or of another class, quantised ones among them, are left as they are."""
    layers = [layer for layer in module.modules() if type(layer).forward is OWN_FORWARD]
    changed: list[Any] = [layer for layer in layers if "forward" not in layer.__dict__]
    try:
        for layer in changed:
            layer.forward = _forward_of(layer)
        yield
    finally:
        for layer in changed:
            layer.__dict__.pop("forward", None)


def _forward_of(layer: Any) -> Callable[..., Tensor]:
    def forward(x: Tensor) -> Tensor:
        casts = layer.weight.dtype != x.dtype or len(layer.weight_function) > 0
        if casts and x.requires_grad and torch.is_grad_enabled():
            return _CastAgain.apply(x, layer)
        return OWN_FORWARD(layer, x)

    return forward


class _CastAgain(torch.autograd.Function):
    """The layer's own output; nothing but its input learns, so its weight and bias get no gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: Any) -> Tensor:
        ctx.layer = layer
        return OWN_FORWARD(layer, x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        weight, bias, stream = comfy.ops.cast_bias_weight(ctx.layer, gradient, offloadable=True)
        x_gradient = gradient @ weight
        comfy.ops.uncast_bias_weight(ctx.layer, weight, bias, stream)
        return x_gradient, None
