"""What was trained, acting on the prompt alone, as ComfyUI's hooks of a conditioning have a LoRA act."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..trainables.trainable import Trained


@dataclass(frozen=True)
class OnThePrompt:
    """Samples as what it holds does, but that the negative prompt is the model's own."""

    trained: Trained

    @property
    def prompt_words(self) -> str:
        return self.trained.prompt_words

    def at(self, level: Tensor) -> Any:
        return self.trained.at(level)

    def at_level(self, level: float, negative: bool = False) -> Any:
        return None if negative else self.trained.at_level(level)

    def scaled(self, scale: float) -> OnThePrompt:
        return OnThePrompt(self.trained.scaled(scale))
