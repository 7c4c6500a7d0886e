"""What a training will cost in time and memory, from one training step of one row that is run and thrown away."""

from __future__ import annotations

import time
from dataclasses import dataclass

import comfy.model_management as management
import torch
from comfy.model_patcher import ModelPatcher

from ..training.fast_path.memory_plan import computed_again
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
    computed_again: float

    def in_words(self, steps: int) -> str:
        """Two lines."""
        needed = self.model_bytes + self.step_bytes
        each = f"{self.seconds:.2g} s" if self.seconds < 10 else in_words(self.seconds)
        twice = f", with {self.computed_again:.0%} of it computed twice" if self.computed_again else ""
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
        free = management.get_free_memory(model.load_device)
        step_bytes, again = step_cost(backbone, (settings.batch_size, *latent_size), free)
        again_for_a_row = step_cost(backbone, (1, *latent_size), free)[1]
        seconds *= (PASSES_PER_ROW + again) / (PASSES_PER_ROW + again_for_a_row)
        return Estimate(
            seconds=seconds * settings.batch_size * settings.gradient_accumulation * EVALUATIONS_SHARE,
            batch_size=settings.batch_size,
            model_bytes=backbone.model.model_size(),
            step_bytes=step_bytes,
            free_bytes=int(free),
            computed_again=again,
        )


def step_cost(backbone: ModelBackbone, latents: tuple[int, ...], free: float) -> tuple[int, float]:
    """(bytes that a step over latents of this shape takes above the model, share of a forward pass computed twice)."""
    base, family = backbone.model.model, backbone.family
    activations, kept = family.activations(base, latents), backbone.kept(latents)
    if activations is not None and kept is not None:
        return activations.of_step(kept), computed_again(kept)
    needed = family.activation_bytes(base, latents)
    if backbone.recompute == "on" or (backbone.recompute == "auto" and needed > free):
        return 2 * needed // len(family.blocks(base.diffusion_model)), 1.0
    return needed, 0.0


def seconds_of_a_row(backbone: ModelBackbone, latent_size: tuple[int, int], num_tokens: int) -> float:
    """A forward and a backward pass, after a forward pass that loads the model."""
    device = backbone.model.load_device
    generator = torch.Generator().manual_seed(0)
    latents, base = backbone.model.model.latent_format, backbone.model.model
    frames = (1,) * (latents.latent_dimensions - 2)
    x_t = torch.randn(1, latents.latent_channels, *frames, *latent_size, generator=generator).to(device)
    level = torch.tensor([LEVEL], device=device)
    conditioning = backbone.family.made_up_prompt(base, generator).to(device)
    # Where tokens have no way in, the gradient is taken back to the picture, through the same blocks.
    tokens = None
    if backbone.family.reads_tokens:
        tokens = torch.zeros(backbone.num_blocks, num_tokens, backbone.context_dim, device=device).requires_grad_()
    learned = x_t.requires_grad_() if tokens is None else tokens
    with torch.no_grad():
        backbone.predict(x_t, level, conditioning).sum().item()  # .item() waits for the GPU
    started = time.perf_counter()
    backbone.predict(x_t, level, conditioning, tokens).square().mean().backward()
    assert learned.grad is not None
    learned.grad.sum().item()
    return time.perf_counter() - started
