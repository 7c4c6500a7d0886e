"""What an adapter is made of: the factors of each kind, what they add to a layer's output, and to its weight.

LoRA (Hu 2021, 2106.09685), on convolutions too (LoCon, as in LyCORIS), LoHa (Hyeon-Woo 2021, FedPara, 2108.06098) and
LoKr (Edalati 2022, KronA, 2212.10650; LyCORIS, Yeh 2023, 2309.14859). DyLoRA (Valipour 2022, 2210.07558) is LoRA whose
first ranks alone must suffice. Names and shapes of factors are those of sd-scripts and LyCORIS.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from .acting import Forward
from .layers import Layer
from .low_rank import plus, with_low_rank

Factors = Mapping[str, Tensor]
CONVOLVE = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}


@dataclass(frozen=True)
class Factor:
    """unit: what 1 in a leaf stands for in the model. starts: at random values of variance 1, in leaves, or at 0."""

    name: str
    shape: tuple[int, ...]
    unit: float
    starts: bool

    @property
    def size(self) -> int:
        return math.prod(self.shape)


class AdapterKind(Protocol):
    """Of every kind one factor begins at 0, so that an adapter begins as nothing, and factors of 1 change a layer's
    weight by as much as there is of it: a step moves any model by the same share, whatever its units."""

    def factors(self, layer: Layer, rank: int) -> tuple[Factor, ...]:
        """What a layer is given."""

    def largest_rank(self, layer: Layer) -> int:
        """Above which nothing is gained."""

    def rank_of(self, factors: Factors) -> int:
        """The rank that a layer's factors have."""

    def forward(self, factors: Factors, layer: nn.Module, own_forward: Forward, x: Tensor) -> Tensor:
        """The layer's output with what the factors add to it, alpha taken up."""

    def weight(self, factors: Factors) -> Tensor:
        """The change of the layer's weight as a matrix [out, fan_in], without alpha."""


class Lora:
    """up @ down; of a convolution down has its kernel and up none."""

    def factors(self, layer: Layer, rank: int) -> tuple[Factor, ...]:
        ones = (1,) * len(layer.kernel)
        size = layer.fan_in**0.5
        return (
            Factor("lora_down.weight", (rank, layer.in_features, *layer.kernel), 1 / size, True),
            Factor("lora_up.weight", (layer.out_features, rank, *ones), layer.unit * size / rank**0.5, False),
        )

    def largest_rank(self, layer: Layer) -> int:
        return min(layer.out_features, layer.fan_in)

    def rank_of(self, factors: Factors) -> int:
        return factors["lora_up.weight"].shape[1]

    def forward(self, factors: Factors, layer: nn.Module, own_forward: Forward, x: Tensor) -> Tensor:
        down, up = factors["lora_down.weight"], factors["lora_up.weight"]
        if down.ndim == 2:
            return with_low_rank(own_forward, x, down, up)
        convolve = CONVOLVE[down.ndim - 2]
        hidden = convolve(x, down, None, layer.stride, layer.padding, layer.dilation)  # type: ignore[call-overload]
        return plus(own_forward(x), convolve(hidden, up))

    def weight(self, factors: Factors) -> Tensor:
        return factors["lora_up.weight"].flatten(1) @ factors["lora_down.weight"].flatten(1)


class Loha:
    """(w1_a @ w1_b) * (w2_a @ w2_b), entry by entry: of rank r² with the numbers of rank 2r."""

    def factors(self, layer: Layer, rank: int) -> tuple[Factor, ...]:
        tall, wide = (layer.out_features, rank), (rank, layer.in_features)
        return (
            Factor("hada_w1_a", tall, rank**-0.5, True),
            Factor("hada_w1_b", wide, 1.0, True),
            Factor("hada_w2_a", tall, layer.unit * rank**-0.5, False),
            Factor("hada_w2_b", wide, 1.0, True),
        )

    def largest_rank(self, layer: Layer) -> int:
        return min(layer.out_features, layer.in_features)

    def rank_of(self, factors: Factors) -> int:
        return factors["hada_w1_a"].shape[1]

    def forward(self, factors: Factors, layer: nn.Module, own_forward: Forward, x: Tensor) -> Tensor:
        return plus(own_forward(x), functional.linear(x, self.weight(factors)))

    def weight(self, factors: Factors) -> Tensor:
        return (factors["hada_w1_a"] @ factors["hada_w1_b"]) * (factors["hada_w2_a"] @ factors["hada_w2_b"])


class Lokr:
    """The Kronecker product of w1, nearly square, and w2_a @ w2_b."""

    def factors(self, layer: Layer, rank: int) -> tuple[Factor, ...]:
        (tall, height), (wide, width) = nearly_square(layer.out_features), nearly_square(layer.in_features)
        return (
            Factor("lokr_w1", (tall, wide), 1.0, True),
            Factor("lokr_w2_a", (height, rank), layer.unit * rank**-0.5, False),
            Factor("lokr_w2_b", (rank, width), 1.0, True),
        )

    def largest_rank(self, layer: Layer) -> int:
        return min(nearly_square(layer.out_features)[1], nearly_square(layer.in_features)[1])

    def rank_of(self, factors: Factors) -> int:
        return factors["lokr_w2_a"].shape[1]

    def forward(self, factors: Factors, layer: nn.Module, own_forward: Forward, x: Tensor) -> Tensor:
        grouped = x.unflatten(-1, (factors["lokr_w1"].shape[1], -1))
        inner = functional.linear(functional.linear(grouped, factors["lokr_w2_b"]), factors["lokr_w2_a"])
        return plus(own_forward(x), (factors["lokr_w1"] @ inner).flatten(-2))

    def weight(self, factors: Factors) -> Tensor:
        return torch.kron(factors["lokr_w1"], factors["lokr_w2_a"] @ factors["lokr_w2_b"])


def nearly_square(width: int) -> tuple[int, int]:
    """The two factors of `width` nearest to each other, the smaller one first: 2048 is 32 times 64."""
    smaller = next(divisor for divisor in range(int(width**0.5), 0, -1) if width % divisor == 0)
    return smaller, width // smaller
