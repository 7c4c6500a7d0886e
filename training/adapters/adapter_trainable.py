"""A LoRA or one of its relatives as the optimiser moves it: one vector for all layers of the model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..lora_settings import LoraTrainingSettings
from ..trainables.trainable import Kept
from ..training_info import TrainingInfo
from .layers import Layer
from .plan import AdapterPlan, Adapters, plan_of
from .trained_lora import TrainedLora


class AdapterTrainable:
    """Float32 on one device. A leaf is counted in units of what it acts on: at 1 an adapter changes a layer by about as
    much as there is of it, so that a rate means the same on every model.

    layers: of the model, by its backbone. generator: a CPU generator for what training begins at. begin: a LoRA to go
    on from, of the same plan. Raises ValueError where the settings do not fit the layers.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        settings: LoraTrainingSettings,
        generator: torch.Generator,
        device: torch.device,
        model_family: str = "",
        begin: TrainedLora | None = None,
    ) -> None:
        self.plan: AdapterPlan = plan_of(layers, settings, model_family)
        self._settings, self._ema = settings, settings.ema
        self._units = self.plan.units().to(device)
        self._acting_units = self._units * self.plan.strengths(settings.strength).to(device)
        start = self.plan.start(generator).to(device)
        if begin is not None:
            start = begin.values_for(self.plan, settings.strength).to(device) / self._units
        self._earlier = {} if begin is None else begin.info.trainings()
        self.leaves = [start.requires_grad_()]
        self._average = torch.zeros_like(start, requires_grad=False) if self._ema else None
        self._updates = 0
        self.whole = False  # True trains all ranks of a DyLoRA in each step

    @property
    def ranks(self) -> list[int]:
        """At which a DyLoRA is trained to do alone: 1, 2, 4 and so on, and its own; of another kind its own."""
        rank = self._settings.rank
        if self._settings.kind != "DyLoRA":
            return [rank]
        return [*(2**power for power in range((rank - 1).bit_length())), rank]

    def at(self, level: Tensor, kept: Kept | None = None, ranks: int | None = None) -> Adapters:
        """The same at every level. ranks: of a copy, the first ones alone; what is trained has those of its step."""
        if kept is not None:
            return Adapters(self.plan, kept["values"] * self._acting_units, ranks)
        return Adapters(self.plan, self.leaves[0] * self._acting_units, self._ranks_of_step())

    def unlearned(self, level: Tensor) -> None:
        return None

    @torch.no_grad()
    def after_step(self) -> None:
        self._updates += 1
        if self._average is not None:
            self._average.lerp_(self.leaves[0].detach(), 1 - self._ema)

    @torch.no_grad()
    def kept(self) -> Kept:
        if self._average is None or self._updates == 0:
            return {"values": self.leaves[0].detach().clone()}
        return {"values": self._average / (1 - self._ema**self._updates)}

    @torch.no_grad()
    def reset_to(self, kept: Kept) -> None:
        self.leaves[0].copy_(kept["values"])
        if self._average is not None:
            self._average.zero_()
        self._updates = 0

    def state(self) -> dict[str, Tensor]:
        averages = {} if self._average is None else {"average": self._average}
        return {"leaf": self.leaves[0].detach(), **averages, "updates": torch.tensor(self._updates)}

    @torch.no_grad()
    def load_state(self, tensors: dict[str, Tensor]) -> None:
        self.leaves[0].copy_(tensors["leaf"])
        if self._average is not None:
            self._average.copy_(tensors["average"])
        self._updates = int(tensors["updates"])

    def export(self, kept: Kept, info: TrainingInfo) -> TrainedLora:
        return TrainedLora.of(self.plan, (kept["values"] * self._units).cpu(), self._settings, info, self._earlier)

    def _ranks_of_step(self) -> int | None:
        """Each of `ranks` once in as many steps, in an order of its own each time, the same after a resume."""
        if self._settings.kind != "DyLoRA" or self.whole:
            return None
        turn, place = divmod(self._updates, len(self.ranks))
        generator = torch.Generator().manual_seed(self._settings.seed + turn)
        order = torch.randperm(len(self.ranks), generator=generator)
        return self.ranks[int(order[place])]
