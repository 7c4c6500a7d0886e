"""What a training will cost in time and memory, from one training step of one row that is run and thrown away."""

from __future__ import annotations

import time
from dataclasses import dataclass

import comfy.model_management as management
import torch
from comfy.model_patcher import ModelPatcher

from ..training.reports.pace import EVALUATIONS_SHARE, PASSES_PER_ROW, in_words
from ..training.settings import TrainingSettings
from .models.backbone import ModelBackbone, predicting_backbone
from .options.training_options import TrainingOptions

LEVEL = 0.5
GIB = 2**30
NO_MODEL = "no estimate: connect the model to Preview Training Mask to see how long training takes and what it needs"


@dataclass(frozen=True)
class Estimate:
    """seconds of one step; bytes of the model, of what a step remembers for its backward pass, and that are free."""

    seconds: float
    batch_size: int
    model_bytes: int
    step_bytes: int
    free_bytes: int
    recomputes: bool

    def in_words(self, steps: int) -> str:
        """Two lines."""
        needed = self.model_bytes + self.step_bytes
        each = f"{self.seconds:.2g} s" if self.seconds < 10 else in_words(self.seconds)
        twice = ", with each block computed twice" if self.recomputes else ""
        return (
            f"time: about {in_words(self.seconds * steps)} for {steps} steps, {each} for one of batch "
            f"{self.batch_size}{twice}\n"
            f"memory: about {needed / GIB:.1f} GiB, {self.model_bytes / GIB:.1f} of them the model; "
            f"{self.free_bytes / GIB:.1f} GiB are free beside it"
        )


def estimate_training(
    model: ModelPatcher, latent_size: tuple[int, int], settings: TrainingSettings, options: TrainingOptions
) -> Estimate:
    """latent_size: (height, width) of the first reference in latent cells. Raises ValueError for a model of no family
    that can be trained."""
    with predicting_backbone(model, options.recompute, options.precision) as backbone:
        seconds = seconds_of_a_row(backbone, latent_size, settings.num_tokens)
        base, free = backbone.model.model, management.get_free_memory(model.load_device)
        step_bytes = backbone.family.activation_bytes(base, (settings.batch_size, *latent_size))
        recomputes = options.recompute == "on" or (options.recompute == "auto" and step_bytes > free)
        if recomputes and not backbone.recomputes:
            seconds *= (PASSES_PER_ROW + 1) / PASSES_PER_ROW
        return Estimate(
            seconds=seconds * settings.batch_size * settings.gradient_accumulation * EVALUATIONS_SHARE,
            batch_size=settings.batch_size,
            model_bytes=backbone.model.model_size(),
            step_bytes=2 * step_bytes // len(backbone.family.blocks(base.diffusion_model))
            if recomputes
            else step_bytes,
            free_bytes=int(free),
            recomputes=recomputes,
        )


def seconds_of_a_row(backbone: ModelBackbone, latent_size: tuple[int, int], num_tokens: int) -> float:
    """A forward and a backward pass, after a forward pass that loads the model."""
    device = backbone.model.load_device
    generator = torch.Generator().manual_seed(0)
    latents, base = backbone.model.model.latent_format, backbone.model.model
    frames = (1,) * (latents.latent_dimensions - 2)
    x_t = torch.randn(1, latents.latent_channels, *frames, *latent_size, generator=generator).to(device)
    level = torch.tensor([LEVEL], device=device)
    conditioning = backbone.family.made_up_prompt(base, generator).to(device)
    tokens = torch.zeros(backbone.num_blocks, num_tokens, backbone.context_dim, device=device).requires_grad_()
    with torch.no_grad():
        backbone.predict(x_t, level, conditioning).sum().item()  # .item() waits for the GPU
    started = time.perf_counter()
    backbone.predict(x_t, level, conditioning, tokens).square().mean().backward()
    assert tokens.grad is not None
    tokens.grad.sum().item()
    return time.perf_counter() - started
