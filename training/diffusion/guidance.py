"""Classifier-free guidance (Ho 2022, 2207.12598), in sampling and in training.

Trained through the guided prediction, two sets of what is trained learn at once, one for each prompt (DreamArtist, Dong
2022, 2211.11337).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..backbone import Backbone
from ..conditioning import Conditioning


def guide(wanted: Tensor, unwanted: Tensor, guidance: float) -> Tensor:
    """Away from the prediction of the negative prompt; guidance 1 is the prediction of the prompt itself."""
    return unwanted + guidance * (wanted - unwanted)


@dataclass(frozen=True)
class ForBothPrompts:
    """What is trained for the prompt, and for the negative prompt."""

    positive: Any
    negative: Any


class GuidedBackbone:
    """A backbone whose prediction is the guided one; its negative prompt is empty.

    What it is given as trained is `ForBothPrompts`. With None it is the guided model as it is, so that prior
    preservation and evaluation compare like with like.
    """

    def __init__(self, backbone: Backbone, guidance: float) -> None:
        self._backbone, self._guidance = backbone, guidance
        self._negative = backbone.encode_prompt("")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backbone, name)

    def predict(
        self, x_t: Tensor, level: Tensor, conditioning: Conditioning, trained: ForBothPrompts | None = None
    ) -> Tensor:
        """As Backbone.predict."""
        positive, negative = (None, None) if trained is None else (trained.positive, trained.negative)
        wanted = self._backbone.predict(x_t, level, conditioning, positive)
        unwanted = self._backbone.predict(x_t, level, self._negative.expand(len(x_t)), negative)
        return guide(wanted, unwanted, self._guidance)
