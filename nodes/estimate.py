"""What a training will cost in time and memory, from one training step of one row that is run and thrown away."""

from __future__ import annotations

import time
from dataclasses import dataclass

import comfy.model_management as management
import torch
from comfy.model_patcher import ModelPatcher

from ..training.conditioning import Conditioning
from ..training.reports.pace import EVALUATIONS_SHARE, PASSES_PER_ROW, in_words
from ..training.settings import TrainingSettings
from .anima.recompute import activation_bytes
from .models.backbone import ModelBackbone, predicting_backbone
from .options.training_options import TrainingOptions

PROMPT_LENGTH, WORDS = 512, 8  # vectors of a prompt, and how many of them are not zero
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
    """latent_size: (height, width) of the first reference in latent cells. Raises ValueError for a model that is not
    Anima."""
    with predicting_backbone(model, options.recompute, options.precision) as backbone:
        seconds = seconds_of_a_row(backbone, latent_size, settings.num_tokens)
        base, free = backbone.model.model, management.get_free_memory(model.load_device)
        positions = settings.batch_size * latent_size[0] * latent_size[1] // 4
        width, dtype = base.diffusion_model.model_channels, base.get_dtype_inference()
        step_bytes = activation_bytes(backbone.num_blocks, width, positions, dtype)
        recomputes = options.recompute == "on" or (options.recompute == "auto" and step_bytes > free)
        if recomputes and not backbone.recomputes:
            seconds *= (PASSES_PER_ROW + 1) / PASSES_PER_ROW
        return Estimate(
            seconds=seconds * settings.batch_size * settings.gradient_accumulation * EVALUATIONS_SHARE,
            batch_size=settings.batch_size,
            model_bytes=backbone.model.model_size(),
            step_bytes=2 * step_bytes // backbone.num_blocks if recomputes else step_bytes,
            free_bytes=int(free),
            recomputes=recomputes,
        )


def seconds_of_a_row(backbone: ModelBackbone, latent_size: tuple[int, int], num_tokens: int) -> float:
    """A forward and a backward pass, after a forward pass that loads the model."""
    device = backbone.model.load_device
    generator = torch.Generator().manual_seed(0)
    x_t = torch.randn(1, 16, 1, *latent_size, generator=generator).to(device)
    level = torch.tensor([LEVEL], device=device)
    vectors = torch.zeros(1, PROMPT_LENGTH, backbone.context_dim)
    vectors[:, :WORDS] = torch.randn(WORDS, backbone.context_dim, generator=generator)
    conditioning = Conditioning(vectors.to(device), to_one_length=backbone.family.to_one_length)
    tokens = torch.zeros(backbone.num_blocks, num_tokens, backbone.context_dim, device=device).requires_grad_()
    with torch.no_grad():
        backbone.predict(x_t, level, conditioning).sum().item()  # .item() waits for the GPU
    started = time.perf_counter()
    backbone.predict(x_t, level, conditioning, tokens).square().mean().backward()
    assert tokens.grad is not None
    tokens.grad.sum().item()
    return time.perf_counter() - started
