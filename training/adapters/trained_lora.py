"""A trained LoRA: what goes on the wire, acts in a model while sampling, and into a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from ...masking.wording import printable
from ..files.atomic_file import write_atomically
from ..files.tensor_file import to_bytes
from ..files.tensor_file_header import Kind, Limits
from ..lora_settings import Layout, LoraSettings
from ..training_info import LONGEST_PROMPT, TrainingInfo
from .lora_keys import in_peft_layout, in_sd_scripts_layout
from .lora_metadata import lora_metadata
from .plan import AdapterPlan, Adapters

NOUN = "LoRA file"
# The format that other tools expect to read there.
KIND = Kind(NOUN, "a LoRA", "pt", "1.0")
LIMITS = Limits(
    header_bytes=2**24,
    tensors=20_000,
    dimensions=5,
    tensor_bytes=2**30,
    total_bytes=2**33,
    metadata_entries=128,
    metadata_length=4 * LONGEST_PROMPT,
    name_length=256,
)


@dataclass(frozen=True)
class TrainedLora:
    """values [plan.size] float32 on the CPU, in the units of the model, without alpha. kind: as artists call it.
    layout: of its file."""

    plan: AdapterPlan
    values: Tensor
    kind: str
    rank: int
    alpha: float
    info: TrainingInfo = TrainingInfo()
    layout: Layout = "sd-scripts"
    noun: ClassVar[str] = "LoRA"
    larger: ClassVar[str] = "a higher rank"

    @classmethod
    def of(
        cls, plan: AdapterPlan, values: Tensor, settings: LoraSettings, info: TrainingInfo, earlier: Mapping[str, Any]
    ) -> TrainedLora:
        alpha = settings.strength * settings.rank
        return cls(plan, values, settings.kind, settings.rank, alpha, replace(info, earlier=earlier))

    @property
    def strength(self) -> float:
        """By which the product of the factors acts."""
        return self.alpha / self.rank

    @property
    def prompt_words(self) -> str:
        """Those for its subject, beside which it was trained."""
        return self.info.words

    def summary(self) -> str:
        """One line of a report."""
        said = f"; write in the prompt: {printable(self.info.words)}" if self.info.words else ""
        return (
            f"{self.kind}: rank {self.rank}, alpha {self.alpha:g}, in {len(self.plan.layers)} layers, "
            f"{4 * self.plan.size / 1e6:.3g} MB{said}"
        )

    def factors(self) -> dict[str, dict[str, Tensor]]:
        """By layer and name, as they stand in a file."""
        return self.plan.split(self.values)

    def tensors(self) -> dict[str, Tensor]:
        """By the names that they have in the file. Raises ValueError where the layout has none for this kind."""
        if self.layout == "peft":
            return in_peft_layout(self.factors(), self.strength)
        return in_sd_scripts_layout(self.factors(), self.alpha)

    def to_bytes(self) -> bytes:
        """The content of its file; the same for the same LoRA. Raises ValueError where it is not finite, and as
        `tensors` does."""
        metadata = lora_metadata(self.kind, self.rank, self.alpha, self.info)
        return to_bytes(self.tensors(), metadata, LIMITS, KIND)

    def save(self, path: str | Path) -> None:
        """Write the file whole or not at all. Raises OSError in one sentence, and ValueError as `to_bytes`."""
        write_atomically(path, self.to_bytes())

    def at(self, level: Tensor) -> Adapters:
        """What a backbone takes as trained, at every level the same."""
        return self.at_level(0.0)

    def at_level(self, level: float, negative: bool = False) -> Adapters:
        """The same for the prompt and for the negative prompt: it acts in the model, not beside a prompt."""
        return Adapters(self.plan, self.values * self.plan.strengths(self.strength))

    def scaled(self, scale: float) -> TrainedLora:
        """The same at a strength."""
        return replace(self, alpha=scale * self.alpha)

    def with_ranks(self, ranks: int) -> TrainedLora:
        """Its first ranks alone, each as strong as before."""
        plan = self.plan.with_ranks(ranks)
        values = plan.joined(self.plan.split(self.values, ranks))
        return replace(self, plan=plan, values=values, rank=ranks, alpha=self.alpha * ranks / self.rank)

    def values_for(self, plan: AdapterPlan, strength: float) -> Tensor:
        """[plan.size] the values with which a LoRA of that plan and strength, alpha / rank, acts as this one does.

        Raises ValueError where its layers or shapes are others.
        """
        here = {(layer, each.name): each.shape for layer, factors in self.plan.layers.items() for each in factors}
        there = {(layer, each.name): each.shape for layer, factors in plan.layers.items() for each in factors}
        if here != there:
            raise ValueError(
                f"the LoRA to go on from is a {self.kind} of rank {self.rank} in {len(self.plan.layers)} layers, which "
                f"are not the {len(plan.layers)} layers and shapes that the settings give this model"
            )
        return self.values * self.plan.strengths(self.strength / strength)
