"""Draws the cells of a comparison with ComfyUI's own sampling, so that each is the picture that KSampler would give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import comfy.model_management as management
import comfy.sample
import torch
from comfy.model_patcher import ModelPatcher
from comfy.utils import ProgressBar
from latent_preview import MAX_PREVIEW_RESOLUTION, get_previewer
from PIL import Image
from torch import Tensor

from ...masking.pixels import picture_of
from ...training.reports.context_comparison import Cell
from ...training.trainables.context_file import ReferenceContext
from .applied_context import Strength
from .patch import patch_model


@dataclass(frozen=True)
class SamplerSettings:
    """Those of KSampler, and the size of each picture in pixels; the same for every cell."""

    width: int
    height: int
    seed: int
    steps: int
    cfg: float
    sampler_name: str
    scheduler: str
    negative_prompt: str


# Of a cell: the number of its context, and the scale.
Applied = tuple[int | None, float]


def patched_models(
    model: ModelPatcher, contexts: dict[str, ReferenceContext], cells: Sequence[Cell]
) -> dict[Applied, ModelPatcher]:
    """The model that draws the cells with a context at a scale. Raises ValueError that names the context which does not
    fit."""
    models: dict[Applied, ModelPatcher] = {(None, 0.0): model}
    named = list(contexts.items())
    for cell in cells:
        if cell.context is not None and (cell.context, cell.scale) not in models:
            name, context = named[cell.context]
            try:
                models[cell.context, cell.scale] = patch_model(model, context, Strength(cell.scale))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
    return models


def draw_cells(
    models: dict[Applied, ModelPatcher], clip: Any, vae: Any, cells: Sequence[Cell], settings: SamplerSettings
) -> dict[Cell, Image.Image]:
    """A picture for each of `cells`, which are all different; all are sampled before the first is decoded, so that
    models are loaded once.

    Raises ComfyUI's InterruptProcessingException when the user cancels.
    """
    encoded = {
        prompt: encode(clip, prompt)
        for prompt in dict.fromkeys([settings.negative_prompt, *(cell.prompt for cell in cells)])
    }
    negative = encoded[settings.negative_prompt]
    progress = CellProgress(models[None, 0.0], len(cells), settings.steps)
    latents = {}
    for number, cell in enumerate(cells):
        latents[cell] = sample_cell(
            models[cell.context, cell.scale], encoded[cell.prompt], negative, settings, progress.of_cell(number)
        )
    images = {}
    for cell, latent in latents.items():
        management.throw_exception_if_processing_interrupted()
        images[cell] = decoded_picture(vae, latent)
    return images


def encode(clip: Any, prompt: str) -> Any:
    return clip.encode_from_tokens_scheduled(clip.tokenize(prompt))


def sample_cell(
    model: ModelPatcher, positive: Any, negative: Any, settings: SamplerSettings, callback: Callable[..., None]
) -> Tensor:
    """What KSampler gives for an empty latent of this size."""
    empty = torch.zeros(1, 4, settings.height // 8, settings.width // 8, device=management.intermediate_device())
    empty = comfy.sample.fix_empty_latent_channels(model, empty)
    return comfy.sample.sample(
        model,
        comfy.sample.prepare_noise(empty, settings.seed),
        settings.steps,
        settings.cfg,
        settings.sampler_name,
        settings.scheduler,
        positive,
        negative,
        empty,
        callback=callback,
        disable_pbar=True,
        seed=settings.seed,
    )


def decoded_picture(vae: Any, latent: Tensor) -> Image.Image:
    """The picture; a video VAE gives one frame."""
    pixels = vae.decode(latent)
    pixels = pixels.reshape(-1, *pixels.shape[-3:])[0]
    return picture_of(pixels)


class CellProgress:
    """One progress bar over the steps of all cells, with the live picture of the cell that is being drawn."""

    def __init__(self, model: ModelPatcher, cells: int, steps: int) -> None:
        self._bar, self._steps = ProgressBar(cells * steps), steps
        self._previewer = get_previewer(model.load_device, model.model.latent_format)

    def of_cell(self, number: int) -> Callable[..., None]:
        """A callback for ComfyUI's samplers; `number` counts the cells from 0."""

        def on_step(step: int, x0: Tensor, x: Tensor, total_steps: int) -> None:
            management.throw_exception_if_processing_interrupted()
            image = None
            if self._previewer is not None:
                image = ("JPEG", self._previewer.decode_latent_to_preview(x0), MAX_PREVIEW_RESOLUTION)
            self._bar.update_absolute(number * self._steps + min(step + 1, self._steps), preview=image)

        return on_step
