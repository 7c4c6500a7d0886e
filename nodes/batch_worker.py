"""A worker of a batch that trains real Anima with ComfyUI's modules; `start_worker.py` makes them ready."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import comfy.model_management as management
import torch

from ..training.manifests.backbones import AnimaFiles
from ..training.manifests.recipe import Recipe
from ..training.manifests.train_row import Learn
from ..training.manifests.worker import serve
from ..training.result import TrainingResult
from ..training.trainables.context_file import ReferenceContext
from ..training.trainables.thumbnail import with_thumbnail
from .live.first_picture import masked_picture
from .models.anima_files import loaded
from .models.backbone import training_backbone
from .models.within_memory import within_memory


class AnimaModel:
    """The `TrainingModel` of three files, loaded as ComfyUI's own loaders do. Raises ValueError where one of them is
    none of Anima's."""

    @torch.inference_mode()
    def __init__(self, files: AnimaFiles) -> None:
        self.model = files.described()
        self._anima, self._clip, self._vae = loaded(files)
        self.device = management.get_torch_device().type
        self.devices = torch.cuda.device_count() if self.device == "cuda" else 0

    def trained(self, recipe: Recipe, learn: Learn) -> tuple[ReferenceContext, TrainingResult]:
        """The context carries a small picture of what it learned, as those of the training nodes do."""
        run = recipe.run
        with training_backbone(self._anima, self._clip, self._vae, run.recompute, run.precision) as backbone:
            result, _ = within_memory(backbone, lambda: learn(backbone), lambda: learn.steps_done)
        picture = masked_picture(next(iter(recipe.references())), recipe.framing, run.mask_reduction)
        return with_thumbnail(result.trained, picture), result


def main(events: IO[str], arguments: list[str]) -> None:
    _, *files = arguments
    serve(AnimaModel(AnimaFiles(*map(Path, files))), events)
