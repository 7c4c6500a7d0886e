"""What the trainer needs from a model, so that it knows neither ComfyUI nor how many blocks or channels there are."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Backbone(Protocol):
    """A frozen denoiser of N blocks whose cross-attention accepts context tokens.

    Latents are [B,C,h,w] or [B,C,1,h,w]; predictions and targets are in the model's own parametrisation (for Anima
    velocity). Sigma runs from 0 (picture) to 1 (noise). Tokens are [blocks,K,context_dim], or [B,blocks,K,context_dim]
    where rows differ; gradients flow into them and nowhere else.
    """

    @property
    def model_family(self) -> str:
        """The name that context files carry: "anima", "miniature"."""

    @property
    def num_blocks(self) -> int: ...

    @property
    def context_dim(self) -> int: ...

    @property
    def size_multiple(self) -> int:
        """Image sides must be multiples of this many pixels."""

    @property
    def sigma_shift(self) -> float:
        """The shift that the model samples with (Esser 2024)."""

    def encode_image(self, image: Tensor) -> Tensor:
        """[B,H,W,3] in 0..1 to float32 latents, normalised as the model was trained."""

    def encode_prompt(self, prompt: str) -> Tensor:
        """[1,L,context_dim], padded with zero vectors."""

    def add_noise(self, x0: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        """x_t at noise level sigma [B]."""

    def target(self, x0: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        """What a perfect prediction would be."""

    def predict(self, x_t: Tensor, sigma: Tensor, context: Tensor, tokens: Tensor | None = None) -> Tensor:
        """The prediction for x_t at sigma [B] under context [B,L,D]; without tokens the model as it is."""

    def estimate_x0(self, x_t: Tensor, prediction: Tensor, sigma: Tensor) -> Tensor:
        """The picture that a prediction points to."""
