"""Counts what a run spends: how often a picture goes through the model, which is nearly all of its time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .backbone import Backbone
from .conditioning import Conditioning


@dataclass
class ForwardPasses:
    """Of one picture each; a batch counts as many as it has rows. Those `learning` are followed by a backward pass,
    those `asking` found words for the subject."""

    learning: int = 0
    looking: int = 0
    asking: int = 0


class CountedBackbone:
    """A backbone that adds its predictions to `passes`."""

    def __init__(self, backbone: Backbone, passes: ForwardPasses) -> None:
        self._backbone, self._passes = backbone, passes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backbone, name)

    def predict(self, x_t: Tensor, level: Tensor, conditioning: Conditioning, trained: Any = None) -> Tensor:
        """As Backbone.predict."""
        if trained is not None and torch.is_grad_enabled():
            self._passes.learning += len(x_t)
        else:
            self._passes.looking += len(x_t)
        return self._backbone.predict(x_t, level, conditioning, trained)
