"""Which layers of a model can be adapted, found by asking the model: their names, what they are for, and their
shapes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

Purpose = Literal["attention", "mlp", "other", "convolution"]

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
# Parts of names and of class names. What modulates a block is no part of its attention, whatever its name ends in.
MODULATES = re.compile(r"adaln|modulation|(^|_)mod(_|$)|(^|_)norm\d*(_|$)|embed")
ATTENDS = re.compile(r"(^|_)attn\d*(_|$)|attention")
FEEDS = re.compile(r"(^|_)(mlp|ff|feed_forward|ffn)(_|$)")
ATTENDING_CLASSES = re.compile(r"Attention|SingleStream")
FEEDING_CLASSES = re.compile(r"FeedForward|MLP|Mlp")


@dataclass(frozen=True)
class Layer:
    """One layer as an adapter sees it.

    name: of the module in the model, such as "blocks.0.self_attn.q_proj". kernel: the sides of a convolution, empty for
    a linear layer. unit: the root mean square of its weight, which is what a change of it is counted in.
    """

    name: str
    purpose: Purpose
    out_features: int
    in_features: int
    kernel: tuple[int, ...] = ()
    unit: float = 1.0

    @property
    def fan_in(self) -> int:
        """How many numbers each output is summed from."""
        return self.in_features * math.prod(self.kernel)


def adaptable_modules(model: nn.Module, without: Sequence[str] = ()) -> Iterator[tuple[str, nn.Module]]:
    """By name, in the model's order, its linear layers and its convolutions of one group.

    without: submodules, by name, that a prediction does not pass through. A module whose weight is elsewhere or of one
    dimension is no such layer.
    """
    beginnings = tuple(f"{name}." for name in without)
    for name, module in model.named_modules():
        weight = getattr(module, "weight", None)
        if not isinstance(weight, Tensor) or weight.ndim < 2 or f"{name}.".startswith(beginnings):
            continue
        is_linear = not isinstance(module, nn.Embedding) and hasattr(module, "in_features")
        if is_linear or isinstance(module, CONVOLUTIONS) and module.groups == 1:
            yield name, module


def adaptable_layers(model: nn.Module, without: Sequence[str] = ()) -> tuple[Layer, ...]:
    """All layers of a model that an adapter may act in; which of them it does is for its settings to say."""
    classes = {name: type(module).__name__ for name, module in model.named_modules()}
    return tuple(_layer(name, module, classes) for name, module in adaptable_modules(model, without))


def _layer(name: str, module: nn.Module, classes: dict[str, str]) -> Layer:
    assert isinstance(module.weight, Tensor)
    unit = weight_unit(module.weight)
    if isinstance(module, CONVOLUTIONS):
        return Layer(name, "convolution", module.out_channels, module.in_channels, tuple(module.kernel_size), unit)
    assert isinstance(module.out_features, int) and isinstance(module.in_features, int)
    return Layer(name, _purpose(name, classes), module.out_features, module.in_features, (), unit)


def _purpose(name: str, classes: dict[str, str]) -> Purpose:
    """By the nearest module around the layer that says what it is, in its name or in the name of its class."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        part, class_name = parts[length - 1], classes[".".join(parts[:length])]
        if MODULATES.search(part):
            return "other"
        if ATTENDS.search(part) or ATTENDING_CLASSES.search(class_name):
            return "attention"
        if FEEDS.search(part) or FEEDING_CLASSES.search(class_name):
            return "mlp"
    return "other"


@torch.no_grad()
def weight_unit(weight: Tensor) -> float:
    """The root mean square of a weight's entries; that of a usual initialisation where all are 0."""
    unit = float(weight.dequantize().float().square().mean().sqrt())
    return unit if unit > 0 else math.prod(weight.shape[1:]) ** -0.5
