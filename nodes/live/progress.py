"""Shows training while it runs: ComfyUI's progress bar, a live picture, the loss, and a way to stop."""

from __future__ import annotations

import time

import comfy.model_management as management
from comfy.utils import ProgressBar
from latent_preview import MAX_PREVIEW_RESOLUTION, LatentPreviewer
from PIL import Image

from ...training.result import StepReport
from .loss_line import LiveLoss
from .phases import Phases
from .previews import TrainingPreviews, image_of

# Fast models take 100 steps a second; the eye does not.
SECONDS_BETWEEN_IMAGES = 0.1


class LiveProgress:
    """A callback for `train_context_tokens`. Raises ComfyUI's InterruptProcessingException when the user cancels.

    The live picture is the model's guess at the reference until there is a preview, and from then on the last preview.
    """

    def __init__(self, previewer: LatentPreviewer, phases: Phases, previews: TrainingPreviews | None = None) -> None:
        self.steps_done = 0
        self._phases = phases
        self._previewer, self._previews = previewer, previews
        self._shows_preview = False
        self._loss = LiveLoss(phases)
        self._bar: ProgressBar | None = None
        self._next_image = 0.0

    def __call__(self, report: StepReport) -> None:
        management.throw_exception_if_processing_interrupted()
        self.steps_done = report.step
        if self._bar is None:
            self._bar = ProgressBar(report.steps)
        self._phases.step(report.step, report.steps)
        self._loss.after(report)
        image = self._image(report)
        self._bar.update_absolute(report.step, report.steps, image and ("JPEG", image, MAX_PREVIEW_RESOLUTION))

    def _image(self, report: StepReport) -> Image.Image | None:
        """What to show from now on; None leaves the picture that is there."""
        preview = None if self._previews is None else self._previews.after(report)
        self._shows_preview = self._shows_preview or preview is not None
        if self._shows_preview:
            return preview
        if time.monotonic() < self._next_image and report.step < report.steps:
            return None
        guess = image_of(self._previewer, report.x0_estimate())
        self._next_image = time.monotonic() + SECONDS_BETWEEN_IMAGES
        return guess
