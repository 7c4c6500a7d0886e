"""Shows training while it runs: ComfyUI's progress bar with the current guess at the picture, and a way to stop."""

from __future__ import annotations

import time

import comfy.model_management as management
import torch
from comfy.utils import ProgressBar
from latent_preview import MAX_PREVIEW_RESOLUTION, Latent2RGBPreviewer, LatentPreviewer, get_previewer

from ..training.result import StepReport
from .backbone import AnimaBackbone

# Fast models take 100 steps a second; the eye does not.
SECONDS_BETWEEN_PICTURES = 0.1


class LiveProgress:
    """A callback for `train_context_tokens`. Raises ComfyUI's InterruptProcessingException when the user cancels."""

    def __init__(self, backbone: AnimaBackbone) -> None:
        self.steps_done = 0
        self._previewer = previewer_for(backbone)
        self._bar: ProgressBar | None = None
        self._next_picture = 0.0

    def __call__(self, report: StepReport) -> None:
        management.throw_exception_if_processing_interrupted()
        self.steps_done = report.step
        if self._bar is None:
            self._bar = ProgressBar(report.steps)
        picture = None
        if time.monotonic() >= self._next_picture or report.step == report.steps:
            with torch.inference_mode():
                picture = ("JPEG", self._previewer.decode_latent_to_preview(report.x0_estimate()), MAX_PREVIEW_RESOLUTION)
            self._next_picture = time.monotonic() + SECONDS_BETWEEN_PICTURES
        self._bar.update_absolute(report.step, report.steps, picture)


def previewer_for(backbone: AnimaBackbone) -> LatentPreviewer:
    """The previewer that the user chose for sampling; where none was chosen, ComfyUI's linear map from latents to colours."""
    latent_format = backbone.model.model.latent_format
    chosen = get_previewer(backbone.model.load_device, latent_format)
    return chosen or Latent2RGBPreviewer(
        latent_format.latent_rgb_factors, latent_format.latent_rgb_factors_bias, latent_format.latent_rgb_factors_reshape
    )
