"""Trains two sets of tokens at once, one for each prompt, through the guided prediction (DreamArtist, Dong 2022,
2211.11337)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..backbone import Backbone


class GuidedBackbone:
    """A backbone whose prediction is `uncond + cfg·(cond - uncond)`.

    Of its tokens the first `positive` go to the prompt and the others to the negative prompt, which is empty. Without
    tokens it is the guided model as it is, so that prior preservation and evaluation compare like with like.
    """

    def __init__(self, backbone: Backbone, positive: int, cfg: float) -> None:
        self._backbone, self._positive, self._cfg = backbone, positive, cfg
        self._negative = backbone.encode_prompt("")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backbone, name)

    def predict(self, x_t: Tensor, sigma: Tensor, context: Tensor, tokens: Tensor | None = None) -> Tensor:
        """As Backbone.predict, with tokens [...,positive + negative,D]."""
        wanted, unwanted = (
            (None, None) if tokens is None else (tokens[..., : self._positive, :], tokens[..., self._positive :, :])
        )
        cond = self._backbone.predict(x_t, sigma, context, wanted)
        uncond = self._backbone.predict(x_t, sigma, self._negative.expand(len(x_t), -1, -1), unwanted)
        return uncond + self._cfg * (cond - uncond)
