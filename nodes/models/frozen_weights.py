"""Makes the weights of a model that ComfyUI loaded usable in a backward pass, without copying them.

ComfyUI loads models under `torch.inference_mode()`. Such tensors may not be saved for a backward pass, not even frozen.
A view that is made outside inference mode of the same memory may, so it stands in for the weight while training runs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

import comfy.ops
import torch
from comfy.quant_ops import QuantizedTensor
from comfy.weight_adapter import WeightAdapterBase
from comfy.weight_adapter.bypass import BypassForwardHook
from torch import Tensor, nn


@contextmanager
def frozen_weights(module: nn.Module) -> Iterator[None]:
    """Inside, no parameter of `module` is an inference tensor or takes a gradient; afterwards all are what they were.

    Must be entered outside inference mode. A parameter that was replaced meanwhile, as ComfyUI does where it moves
    a model, keeps its replacement.
    """
    swapped = []
    try:
        for owner in module.modules():
            for name, original in owner._parameters.items():
                if original is None:
                    continue
                stand_in = nn.Parameter(same_memory(original.data), requires_grad=False)
                owner._parameters[name] = stand_in
                swapped.append((owner, name, original, stand_in))
        yield
    finally:
        for owner, name, original, stand_in in swapped:
            if owner._parameters.get(name) is stand_in:
                owner._parameters[name] = original


@contextmanager
def usable_bypass_adapters(module: nn.Module) -> Iterator[None]:
    """Inside, the LoRAs that ComfyUI lets act beside the weights of `module` (Load LoRA Bypass) have no inference
    tensors either."""
    swapped = []
    try:
        for adapter in {id(each): each for layer in module.modules() for each in _bypassing(layer)}.values():
            own = adapter.weights
            adapter.weights = type(own)(same_memory(each) if isinstance(each, Tensor) else each for each in own)
            swapped.append((adapter, own))
        yield
    finally:
        for adapter, own in swapped:
            adapter.weights = own


def _bypassing(layer: nn.Module) -> Iterator[WeightAdapterBase]:
    """The adapters of a layer, one put over another."""
    hook = getattr(layer.__dict__.get("forward"), "__self__", None)
    while isinstance(hook, BypassForwardHook):
        if isinstance(hook.adapter, WeightAdapterBase) and isinstance(hook.adapter.weights, list | tuple):
            yield hook.adapter
        hook = getattr(hook.original_forward, "__self__", None)


@contextmanager
def differentiable_linear_layers(module: nn.Module) -> Iterator[None]:
    """Inside, layers that ComfyUI multiplies in fp8 (weight type fp8_e4m3fn_fast) cast their weight instead, which has
    a gradient.

    Such a layer does so of itself where a function has to act on its weight, so it gets one that changes nothing.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, comfy.ops.fp8_ops.Linear)]
    own_functions = [layer.__dict__.get("weight_function") for layer in layers]
    try:
        for layer in layers:
            layer.weight_function = [*layer.weight_function, _unchanged]
        yield
    finally:
        for layer, own_function in zip(layers, own_functions, strict=True):
            if own_function is None:
                layer.__dict__.pop("weight_function", None)  # the class has an empty list for all
            else:
                layer.weight_function = own_function


def _unchanged(weight: Tensor) -> Tensor:
    return weight


def same_memory(tensor: Tensor) -> Tensor:
    """A tensor over the same memory that belongs to no inference mode and no graph."""
    if isinstance(tensor, QuantizedTensor):
        fields = {field.name: getattr(tensor.params, field.name) for field in dataclasses.fields(tensor.params)}
        for name, value in fields.items():
            if isinstance(value, Tensor):
                fields[name] = same_memory(value)
        return QuantizedTensor(same_memory(tensor._qdata), tensor._layout_cls, type(tensor.params)(**fields))
    empty = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
    return empty.set_(tensor.untyped_storage(), tensor.storage_offset(), tensor.shape, tensor.stride())
