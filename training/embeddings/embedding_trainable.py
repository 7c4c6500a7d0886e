"""The vectors of an embedding as the optimiser moves them (Textual Inversion, Gal 2022, 2208.01618)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..backbone import EmbeddableBackbone
from ..diffusion.guidance import ForBothPrompts
from ..embedding_settings import EmbeddingTrainingSettings
from ..trainables.token_trainable import shorten_to_unit
from ..trainables.trainable import Kept
from ..training_info import TrainingInfo
from .trained_embedding import TrainedEmbedding
from .word_vectors import WordVectors


class EmbeddingTrainable:
    """A leaf [K,D] for each text encoder, float32 on one device, counted in the length of the encoder's own words.

    With settings.negative_vectors the last of the K are for the negative prompt, and the backbone is to be guided. With
    settings.token_norm "prompt" none is longer than a word. generator: a CPU generator for the values before the first
    step. start: vectors [n,D] for each encoder that the prompt's begin at, repeated until there are enough; where n is
    0 they begin near zero.
    """

    def __init__(
        self,
        backbone: EmbeddableBackbone,
        settings: EmbeddingTrainingSettings,
        generator: torch.Generator,
        device: torch.device,
        start: Mapping[str, Tensor],
    ) -> None:
        self._positive, self._negative, self._ema = settings.vectors, settings.negative_vectors, settings.ema
        self._bounded, count = settings.token_norm == "prompt", settings.vectors + settings.negative_vectors
        tables = backbone.word_tables()
        self._units = {
            name: 1.0 if settings.token_norm == "raw" else usual_length(table) for name, table in tables.items()
        }
        self.leaves = []
        for name, table in tables.items():
            leaf = settings.init_std * torch.randn(count, table.shape[1], generator=generator)
            words = start[name].float().cpu()
            if len(words):
                leaf[: self._positive] += words[torch.arange(self._positive) % len(words)] / self._units[name]
            self.leaves.append(leaf.to(device).requires_grad_())
        self._averages = [torch.zeros_like(leaf, requires_grad=False) for leaf in self.leaves]
        self._updates = 0

    def at(self, level: Tensor, kept: Kept | None = None) -> WordVectors | ForBothPrompts:
        vectors = self._in_units_of_words(self.leaves) if kept is None else kept
        if self._negative == 0:
            return WordVectors(vectors)
        return ForBothPrompts(*(WordVectors(part) for part in self._by_prompt(vectors)))

    def unlearned(self, level: Tensor) -> None:
        return None

    @torch.no_grad()
    def after_step(self) -> None:
        if self._bounded:
            for leaf in self.leaves:
                shorten_to_unit(leaf)
        self._updates += 1
        for average, leaf in zip(self._averages, self.leaves, strict=True):
            average.lerp_(leaf.detach(), 1 - self._ema)

    @torch.no_grad()
    def kept(self) -> Kept:
        """The average corrected for its start at zero, or the vectors as they are; as the encoders read them."""
        if self._ema == 0 or self._updates == 0:
            return self._in_units_of_words([leaf.detach() for leaf in self.leaves])
        correction = 1 / (1 - self._ema**self._updates)
        return self._in_units_of_words([average * correction for average in self._averages])

    @torch.no_grad()
    def reset_to(self, kept: Kept) -> None:
        for (name, unit), leaf, average in zip(self._units.items(), self.leaves, self._averages, strict=True):
            leaf.copy_(kept[name] / unit)
            average.zero_()
        self._updates = 0

    def state(self) -> dict[str, Tensor]:
        leaves = {f"leaf.{name}": leaf.detach() for name, leaf in zip(self._units, self.leaves, strict=True)}
        averages = {f"average.{name}": average for name, average in zip(self._units, self._averages, strict=True)}
        return leaves | averages | {"updates": torch.tensor(self._updates)}

    @torch.no_grad()
    def load_state(self, tensors: dict[str, Tensor]) -> None:
        for name, leaf, average in zip(self._units, self.leaves, self._averages, strict=True):
            leaf.copy_(tensors[f"leaf.{name}"])
            average.copy_(tensors[f"average.{name}"])
        self._updates = int(tensors["updates"])

    def export(self, kept: Kept, info: TrainingInfo) -> TrainedEmbedding:
        positive, negative = self._by_prompt({name: vectors.cpu() for name, vectors in kept.items()})
        return TrainedEmbedding(positive, negative if self._negative else None, info)

    def _in_units_of_words(self, leaves: Sequence[Tensor]) -> dict[str, Tensor]:
        """Copies, times the length of a word."""
        return {name: unit * leaf for (name, unit), leaf in zip(self._units.items(), leaves, strict=True)}

    def _by_prompt(self, vectors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Those for the prompt, and those for the negative prompt."""
        first = {name: each[: self._positive] for name, each in vectors.items()}
        return first, {name: each[self._positive :] for name, each in vectors.items()}


def usual_length(table: Tensor) -> float:
    """The root mean square of an entry of a word's vector, the median over all words of a table [words,D]."""
    return float(table.float().square().mean(-1).sqrt().median())
