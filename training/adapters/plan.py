"""Where in a model adapters act and what they are made of, laid out in one vector of numbers.

One vector instead of two or more for each of some hundred layers: the optimiser moves it, checks it, averages it and
saves it in one go, and it is cast to the model's precision in one go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ..lora_settings import Kind, Layers, LoraSettings
from .acting import Forward
from .kinds import AdapterKind, Factor, Loha, Lokr, Lora
from .layers import Layer, Purpose

KINDS: dict[Kind, AdapterKind] = {"LoRA": Lora(), "LoCon": Lora(), "LoHa": Loha(), "LoKr": Lokr(), "DyLoRA": Lora()}
PURPOSES: dict[Layers, tuple[Purpose, ...]] = {
    "attention": ("attention",),
    "attention and MLP": ("attention", "mlp"),
    "all linear layers": ("attention", "mlp", "other"),
}


@dataclass(frozen=True)
class AdapterPlan:
    """layers: by name, the factors of each; all of them lie one after another in a vector of `size` numbers."""

    kind: AdapterKind
    layers: Mapping[str, tuple[Factor, ...]]

    @property
    def all_factors(self) -> list[Factor]:
        return [factor for factors in self.layers.values() for factor in factors]

    @property
    def size(self) -> int:
        return sum(factor.size for factor in self.all_factors)

    def start(self, generator: torch.Generator) -> Tensor:
        """[size] what training begins at, in units of the factors: an adapter that changes nothing."""
        parts = [
            torch.randn(factor.size, generator=generator) if factor.starts else torch.zeros(factor.size)
            for factor in self.all_factors
        ]
        return torch.cat(parts)

    def units(self) -> Tensor:
        """[size] what 1 stands for in the model."""
        return self._of_each([factor.unit for factor in self.all_factors])

    def strengths(self, strength: float) -> Tensor:
        """[size] by which the values of an adapter act at a strength, alpha / rank: it is taken up by the factors that
        begin at 0, one of each layer."""
        return self._of_each([1.0 if factor.starts else strength for factor in self.all_factors])

    def split(self, values: Tensor, ranks: int | None = None) -> dict[str, dict[str, Tensor]]:
        """The factors by layer and name, as views of `values` [size]; ranks: of a LoRA the first ones alone."""
        pieces = iter(values.split([factor.size for factor in self.all_factors]))
        return {
            layer: {each.name: first_ranks(each.name, next(pieces).view(each.shape), ranks) for each in factors}
            for layer, factors in self.layers.items()
        }

    def joined(self, factors: Mapping[str, Mapping[str, Tensor]]) -> Tensor:
        """[size] what `split` takes apart."""
        return torch.cat([factors[layer][each.name].flatten() for layer in self.layers for each in self.layers[layer]])

    def _of_each(self, numbers: list[float]) -> Tensor:
        sizes = torch.tensor([factor.size for factor in self.all_factors])
        return torch.tensor(numbers).repeat_interleave(sizes)

    def with_ranks(self, ranks: int) -> AdapterPlan:
        """The plan of a LoRA whose first ranks are left."""

        def shortened(factor: Factor) -> Factor:
            shape = list(factor.shape)
            shape[RANK_AXIS[factor.name]] = ranks
            return replace(factor, shape=tuple(shape))

        return replace(self, layers={name: tuple(map(shortened, each)) for name, each in self.layers.items()})


RANK_AXIS = {"lora_down.weight": 0, "lora_up.weight": 1}


def first_ranks(name: str, factor: Tensor, ranks: int | None) -> Tensor:
    return factor if ranks is None else factor.narrow(RANK_AXIS[name], 0, ranks)


class Adapters:
    """What a backbone is given as trained: values [plan.size], alpha taken up, in the precision of the model or above.

    Gradients flow into `values`. ranks: see `AdapterPlan.split`.
    """

    def __init__(self, plan: AdapterPlan, values: Tensor, ranks: int | None = None) -> None:
        self.plan, self.values, self._ranks = plan, values, ranks
        self._factors: dict[str, dict[str, Tensor]] | None = None

    def with_values(self, values: Tensor) -> Adapters:
        return Adapters(self.plan, values, self._ranks)

    def to(self, device: torch.device, dtype: torch.dtype) -> Adapters:
        return self.with_values(self.values.to(device, dtype))

    def of_layer(self, name: str) -> dict[str, Tensor] | None:
        """The factors of a layer; None where the plan has no such layer."""
        if self._factors is None:
            self._factors = self.plan.split(self.values, self._ranks)
        return self._factors.get(name)

    def forward(self, name: str, layer: nn.Module, own_forward: Forward, x: Tensor) -> Tensor:
        """See `acting.Acting`."""
        factors = self.of_layer(name)
        if factors is None:
            return own_forward(x)
        if x.dtype != self.values.dtype:  # a layer that computes in another precision than its model
            factors = {each: factor.to(x.dtype) for each, factor in factors.items()}
        return self.plan.kind.forward(factors, layer, own_forward, x)


def plan_of(layers: Sequence[Layer], settings: LoraSettings, model_family: str) -> AdapterPlan:
    """The plan for a model with these layers. Raises ValueError where it has none of those that the settings name, or
    where the rank is larger than one of them allows."""
    purposes = PURPOSES[settings.layers]
    if settings.kind == "LoCon":
        purposes = (*purposes, "convolution")
    chosen = [layer for layer in layers if layer.purpose in purposes]
    if settings.kind == "LoCon" and not any(layer.purpose == "convolution" for layer in chosen):
        raise ValueError(f"lora_kind is 'LoCon' and the model ({model_family}) has no convolutions, expected 'LoRA'")
    if not chosen:
        raise ValueError(
            f"lora_layers is {settings.layers!r} and the model ({model_family}) has no such layers, expected one of: "
            f"{', '.join(PURPOSES)}"
        )
    kind = KINDS[settings.kind]
    narrowest = min(chosen, key=lambda layer: kind.largest_rank(layer))
    if settings.rank > kind.largest_rank(narrowest):
        raise ValueError(
            f"lora_rank is {settings.rank}, expected at most {kind.largest_rank(narrowest)}: the width that a "
            f"{settings.kind} has in {narrowest.name}"
        )
    return AdapterPlan(kind, {layer.name: kind.factors(layer, settings.rank) for layer in chosen})
