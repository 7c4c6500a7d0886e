"""Lets attention forget its queries, keys and values, which are cheap to compute again where its backward pass asks.

Torch's attention keeps what it was given. Here it is handed a note in place of each tensor (`saved_tensors_hooks`); the
first note that is read computes all of them again, with a graph through which their gradients then go on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

Region = Callable[..., tuple[Tensor, ...]]


def attention_forgetting(
    region: Region, inputs: tuple[Tensor, ...], attend: Callable[..., Tensor], *others: Tensor
) -> Tensor:
    """attend(*region(*inputs), *others), of which only `inputs`, `others` and attention's own output are kept.

    Gradients flow into inputs and others, into nothing else that `region` reads.
    """
    if not torch.is_grad_enabled() or not any(tensor.requires_grad for tensor in inputs):
        return attention_keeping(region, inputs, attend, *others)
    cell = _Cell(region, inputs)
    outputs = _Bridge.apply(cell, *inputs)
    numbers = {_place(output): number for number, output in enumerate(outputs)}

    def pack(tensor: Tensor) -> Tensor | int:
        return numbers.get(_place(tensor), tensor)

    def unpack(packed: Tensor | int) -> Tensor:
        return cell.outputs()[packed].detach() if isinstance(packed, int) else packed

    with saved_tensors_hooks(pack, unpack):
        return attend(*outputs, *others)


def attention_keeping(
    region: Region, inputs: tuple[Tensor, ...], attend: Callable[..., Tensor], *others: Tensor
) -> Tensor:
    """The same, which keeps what attention was given."""
    return attend(*region(*inputs), *others)


def _place(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype


class _Cell:
    """Inputs of a region, and what was computed again of them until their gradients are known."""

    def __init__(self, region: Region, inputs: tuple[Tensor, ...]) -> None:
        self._region, self.inputs = region, tuple(tensor.detach() for tensor in inputs)
        self._again: tuple[tuple[Tensor, ...], tuple[Tensor, ...]] | None = None

    def outputs(self) -> tuple[Tensor, ...]:
        return self._computed()[1]

    def gradients(self, grads: tuple[Tensor, ...]) -> tuple[Tensor | None, ...]:
        leaves, outputs = self._computed()
        self._again = None
        return torch.autograd.grad(outputs, leaves, grads)

    def _computed(self) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        if self._again is None:
            with torch.enable_grad():
                leaves = tuple(tensor.detach().requires_grad_() for tensor in self.inputs)
                self._again = leaves, self._region(*leaves)
        return self._again


class _Bridge(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, cell: _Cell, *inputs: Tensor) -> tuple[Tensor, ...]:
        ctx.cell = cell
        return cell._region(*(tensor.detach() for tensor in inputs))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return None, *ctx.cell.gradients(grads)
