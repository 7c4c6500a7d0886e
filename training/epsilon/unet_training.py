"""Trains the epsilon world's UNet to say of noised pictures what the miniature says of them.

A picture's own noise is what an epsilon model learns from (Ho 2020, 2006.11239); the answer of a model that has learned
it already is the mean over all pictures that it could be, and teaches the same with far fewer steps (Salimans and Ho
2022, 2202.00512).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..miniature.backbone import TIMESTEP_SCALE, MiniatureBackbone
from ..miniature.pretraining_pictures import Caption, shuffled_rows, step_generator, tag_numbers
from ..miniature.transformer_training import rate_at
from .pretraining_settings import UNetSettings
from .schedule import TIMESTEPS, signal_shares
from .unet import SmallUNet

_ASKED = 32  # pictures that the miniature is asked about in one pass


class Lesson(NamedTuple):
    """What the miniature says of N noised pictures: x_t and noise [N,16,16,16], timesteps [N], prompts [N,32,D]."""

    x_t: Tensor
    timestep: Tensor
    prompts: Tensor
    noise: Tensor


class UNetTraining:
    """The stage that learns the UNet from latents [N,16,16,16] and their captions.

    The loss that a step returns is smoothed over about fifty steps.
    """

    name = "unet"

    def __init__(self, latents: Tensor, captions: Sequence[Caption], settings: UNetSettings) -> None:
        self._latents, self._captions, self._settings = latents, captions, settings
        self.steps = settings.steps
        self._teacher = MiniatureBackbone()
        self._shares = signal_shares().float()
        with torch.random.fork_rng(devices=[]):  # initialisers of torch.nn take no generator
            torch.manual_seed(settings.seed)
            self._unet, self._average = SmallUNet(settings.size), SmallUNet(settings.size)
        self._unet.initialise()
        self._average.load_state_dict(self._unet.state_dict())
        self._matrices = [(parameter, _as_matrix(parameter)) for parameter in _inner_weights(self._unet)]
        self._optimisers = self._new_optimisers()
        self._predict = torch.compile(self._unet) if settings.compiled else self._unet
        self._lesson: tuple[int, Lesson] | None = None
        self._smoothed: float | None = None

    @property
    def averaged(self) -> SmallUNet:
        """The moving average of the weights."""
        return self._average.eval()

    def step(self, number: int) -> float:
        settings = self._settings
        batches = settings.lesson // settings.batch_size
        lesson = self._lesson_of(number // (batches * settings.passes))
        rows = shuffled_rows(settings.lesson, settings.batch_size, settings.seed, number)
        timestep = lesson.timestep[rows]
        with torch.autocast("cpu", torch.bfloat16):
            prediction = self._predict(lesson.x_t[rows], timestep.float(), lesson.prompts[rows])
        weight = (1 / self._shares[timestep]).clamp(max=settings.largest_weight)
        loss = (weight * (prediction.float() - lesson.noise[rows]).square().mean((1, 2, 3))).mean()
        self._optimise(loss, number)
        value = loss.item()
        self._smoothed = value if self._smoothed is None else 0.98 * self._smoothed + 0.02 * value
        return self._smoothed

    def state(self) -> dict[str, Any]:
        return {
            "model": self._unet.state_dict(),
            "average": self._average.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self._optimisers],
            "smoothed": self._smoothed,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._unet.load_state_dict(state["model"])
        self._average.load_state_dict(state["average"])
        for optimiser, saved in zip(self._optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self._smoothed = state["smoothed"]

    def _lesson_of(self, number: int) -> Lesson:
        """Kept until another one is asked for."""
        if self._lesson is None or self._lesson[0] != number:
            self._lesson = (number, self._new_lesson(number))
        return self._lesson[1]

    @torch.no_grad()
    def _new_lesson(self, number: int) -> Lesson:
        settings, tags = self._settings, self._teacher.tags
        generator = step_generator(settings.seed, "lesson", number)
        rows = shuffled_rows(len(self._latents), settings.lesson, settings.seed, number)
        x0 = self._latents[rows].float()
        noise = torch.randn(x0.shape, generator=generator)
        timestep = (torch.rand(len(rows), generator=generator) * TIMESTEPS).long()
        prompts = tags(tag_numbers([self._captions[row] for row in rows], tags.index, settings, generator))
        share = self._shares[timestep][:, None, None, None]
        x_t = share.sqrt() * x0 + (1 - share).sqrt() * noise
        split = [each.split(_ASKED) for each in (x_t, share, prompts)]
        parts = [self._noise_in(*part) for part in zip(*split, strict=True)]
        return Lesson(x_t, timestep, prompts, torch.cat(parts))

    def _noise_in(self, x_t: Tensor, share: Tensor, prompts: Tensor) -> Tensor:
        """What the miniature, whose x_t is (1-σ)·x0 + σ·noise, takes for noise."""
        signal, noise = share.sqrt(), (1 - share).sqrt()
        sigma = noise / (signal + noise)
        scaled = x_t / (signal + noise)
        with torch.autocast("cpu", torch.bfloat16):
            velocity = self._teacher.transformer(scaled, sigma.flatten() * TIMESTEP_SCALE, prompts)
        return scaled + (1 - sigma) * velocity.float()

    def _optimise(self, loss: Tensor, number: int) -> None:
        self._unet.zero_grad()
        for optimiser in self._optimisers:
            for group in optimiser.param_groups:
                group["lr"] = self._settings.learning_rate * rate_at(number, self._settings)
        loss.backward()
        nn.utils.clip_grad_norm_(self._unet.parameters(), 1.0)
        for parameter, matrix in self._matrices:
            matrix.grad = None if parameter.grad is None else parameter.grad.flatten(1)
        for optimiser in self._optimisers:
            optimiser.step()
        with torch.no_grad():
            keep = min(self._settings.ema, (number + 1) / (number + 10))
            torch._foreach_lerp_(list(self._average.parameters()), list(self._unet.parameters()), 1 - keep)

    def _new_optimisers(self) -> list[torch.optim.Optimizer]:
        """Muon (Jordan 2024) for the weights inside, AdamW for all else."""
        rate, decay = self._settings.learning_rate, self._settings.weight_decay
        chosen = {id(parameter) for parameter, _ in self._matrices}
        rest = [parameter for parameter in self._unet.parameters() if id(parameter) not in chosen]
        matrices = [matrix for _, matrix in self._matrices]
        muon = torch.optim.Muon(matrices, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
        return [muon, torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.99), weight_decay=decay)]


def _inner_weights(unet: SmallUNet) -> list[nn.Parameter]:
    """Matrices and convolutions of the blocks, without what reads the picture."""
    blocks = ("input_blocks.", "middle_block.", "output_blocks.")
    named = [(name, parameter) for name, parameter in unet.named_parameters() if name.startswith(blocks)]
    return [parameter for name, parameter in named if parameter.ndim >= 2 and name != "input_blocks.0.0.weight"]


def _as_matrix(parameter: nn.Parameter) -> nn.Parameter:
    """[outputs, all else] of the same memory, so that what optimises it optimises the parameter."""
    return nn.Parameter(parameter.detach().flatten(1))
