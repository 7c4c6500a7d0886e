"""What the trainer needs from a model, so that it knows neither ComfyUI nor how many blocks or channels there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor

from .adapters.layers import Layer
from .conditioning import Conditioning


class Backbone(Protocol):
    """A frozen denoiser that accepts what is trained.

    Latents are [B,C,h,w] or [B,C,1,h,w]; predictions and targets are in the model's own parametrisation (for Anima
    velocity). A level [B] runs from 0 (image) to 1 (noise) for every model; the backbone maps it to its own sigma.
    """

    @property
    def model_family(self) -> str:
        """The name that context files carry: "anima", "miniature"."""

    @property
    def size_multiple(self) -> int:
        """Image sides must be multiples of this many pixels."""

    @property
    def level_shift(self) -> float:
        """The shift of levels that the model samples with (Esser 2024); 1 where it has none."""

    def encode_image(self, image: Tensor) -> Tensor:
        """[B,H,W,3] in 0..1 to float32 latents, normalised as the model was trained."""

    def encode_prompt(self, prompt: str) -> Conditioning:
        """One row."""

    def add_noise(self, x0: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """x_t at each row's level."""

    def target(self, x0: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """What a perfect prediction would be."""

    def predict(self, x_t: Tensor, level: Tensor, conditioning: Conditioning, trained: Any = None) -> Tensor:
        """The prediction for x_t; trained: what the trainable gave for these levels, None for the model as it is.

        Gradients flow into what is trained and nowhere else.
        """

    def estimate_x0(self, x_t: Tensor, prediction: Tensor, level: Tensor) -> Tensor:
        """The image that a prediction points to."""

    def step(self, x_t: Tensor, prediction: Tensor, level: float, following: float) -> Tensor:
        """x at the following level, by one Euler step along the prediction."""


class TokenBackbone(Backbone, Protocol):
    """A transformer of N blocks whose cross-attention reads tokens [blocks,K,context_dim] beside the prompt, or
    [B,blocks,K,context_dim] where rows differ: `predict` accepts `trainables.placed_tokens.PlacedTokens` as trained, or
    a tensor of joined ones."""

    @property
    def num_blocks(self) -> int: ...

    @property
    def context_dim(self) -> int: ...

    @property
    def own_attention(self) -> bool:
        """Whether tokens can have an attention of their own."""


class AdaptableBackbone(Backbone, Protocol):
    """A model whose layers take adapters: `predict` accepts `adapters.plan.Adapters` as trained, and lets them act
    through `adapters.acting`."""

    def adaptable_layers(self) -> tuple[Layer, ...]:
        """Those that a prediction passes through, in an order that never changes."""


class EmbeddableBackbone(Backbone, Protocol):
    """A model whose text encoders take vectors among the words: `predict` accepts `embeddings.word_vectors.WordVectors`
    as trained, and encodes each row's prompt again with them after its words."""

    def word_tables(self) -> Mapping[str, Tensor]:
        """The vectors of all words [words,D] that each text encoder reads, by the encoder's name."""

    def words(self, text: str) -> Mapping[str, Tensor]:
        """Those of a text [n,D], by encoder; none where the model knows no word of it."""
