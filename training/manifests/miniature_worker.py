"""A worker that trains the bundled miniature, on a processor."""

from __future__ import annotations

from typing import IO

from ..miniature.backbone import MiniatureBackbone
from ..result import TrainingResult
from ..trainables.context_file import ReferenceContext
from .backbones import miniature
from .recipe import Recipe
from .train_row import Learn
from .worker import serve


class MiniatureModel:
    """The `TrainingModel` of the bundled weights."""

    device, devices = "cpu", 0

    def __init__(self) -> None:
        self.model = miniature()
        self._backbone = MiniatureBackbone()

    def trained(self, recipe: Recipe, learn: Learn) -> tuple[ReferenceContext, TrainingResult]:
        result = learn(self._backbone)
        return result.trained, result


def main(events: IO[str], arguments: list[str]) -> None:
    serve(MiniatureModel(), events)
