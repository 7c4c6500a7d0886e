"""Trains the miniature's transformer and its tag encoder on the latents of the drawn pictures.

The objective is rectified flow (Liu 2022) with logit-normal timesteps (Esser 2024); matrices of the blocks are
optimised by Muon (Jordan 2024), all else by AdamW, and the weights that are kept are an exponential moving average.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .architecture import MiniatureTransformer
from .backbone import TIMESTEP_SCALE
from .pretraining_pictures import Caption, shuffled_rows, step_generator, tag_numbers
from .pretraining_settings import DenoiserSettings, PretrainingSettings
from .prompt import TagEncoder


class TransformerTraining:
    """The stage that learns the transformer and the tag encoder from latents [N,16,16,16] and their captions.

    The loss that it returns is smoothed over about fifty steps.
    """

    name = "transformer"

    def __init__(self, latents: Tensor, captions: Sequence[Caption], settings: PretrainingSettings) -> None:
        self._latents, self._captions, self._settings = latents, captions, settings
        self.steps = settings.steps
        with torch.random.fork_rng(devices=[]):  # initialisers of torch.nn take no generator
            torch.manual_seed(settings.seed)
            transformer, tags = MiniatureTransformer(settings.size), TagEncoder(settings.size.crossattn_emb_channels)
            transformer.initialise()
        self._index = tags.index
        self._model = nn.ModuleList((transformer, tags))
        self._average = copy.deepcopy(self._model)
        self._optimisers = _optimisers(transformer, tags, settings)
        self._predict = torch.compile(transformer) if settings.compiled else transformer
        self._encode = tags
        self._smoothed: float | None = None

    @property
    def averaged(self) -> tuple[MiniatureTransformer, TagEncoder]:
        """The moving averages of both."""
        transformer, tags = copy.deepcopy(self._average).eval()
        assert isinstance(transformer, MiniatureTransformer) and isinstance(tags, TagEncoder)
        return transformer, tags

    def step(self, number: int) -> float:
        settings = self._settings
        generator = step_generator(settings.seed, self.name, number)
        rows = shuffled_rows(len(self._latents), settings.batch_size, settings.seed, number)
        x0 = self._latents[rows].float()
        noise = torch.randn(x0.shape, generator=generator)
        sigma = _logit_normal(len(rows), generator)
        mix = sigma[:, None, None, None]
        numbers = tag_numbers([self._captions[row] for row in rows], self._index, settings, generator)
        with torch.autocast("cpu", torch.bfloat16):
            prediction = self._predict((1 - mix) * x0 + mix * noise, sigma * TIMESTEP_SCALE, self._encode(numbers))
        loss = functional.mse_loss(prediction.float(), noise - x0)
        self._optimise(loss, number)
        value = loss.item()
        self._smoothed = value if self._smoothed is None else 0.98 * self._smoothed + 0.02 * value
        return self._smoothed

    def _optimise(self, loss: Tensor, number: int) -> None:
        for optimiser in self._optimisers:
            optimiser.zero_grad()
            for group in optimiser.param_groups:
                group["lr"] = self._settings.learning_rate * rate_at(number, self._settings)
        loss.backward()
        nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        for optimiser in self._optimisers:
            optimiser.step()
        with torch.no_grad():
            keep = min(self._settings.ema, (number + 1) / (number + 10))
            torch._foreach_lerp_(list(self._average.parameters()), list(self._model.parameters()), 1 - keep)

    def state(self) -> dict[str, Any]:
        return {
            "model": self._model.state_dict(),
            "average": self._average.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self._optimisers],
            "smoothed": self._smoothed,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._model.load_state_dict(state["model"])
        self._average.load_state_dict(state["average"])
        for optimiser, saved in zip(self._optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self._smoothed = state["smoothed"]


def _logit_normal(count: int, generator: torch.Generator) -> Tensor:
    """Stratified sigma [count] in 0..1."""
    quantile = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    return torch.special.ndtri(quantile.clamp(1e-4, 1 - 1e-4)).sigmoid()


def _optimisers(transformer: nn.Module, tags: nn.Module, settings: PretrainingSettings) -> list[torch.optim.Optimizer]:
    matrices = [p for name, p in transformer.named_parameters() if p.ndim == 2 and name.startswith("blocks.")]
    chosen = {id(p) for p in matrices}
    rest = [p for module in (transformer, tags) for p in module.parameters() if id(p) not in chosen]
    muon = torch.optim.Muon(
        matrices, lr=settings.learning_rate, weight_decay=settings.weight_decay, adjust_lr_fn="match_rms_adamw"
    )
    adamw = torch.optim.AdamW(rest, lr=settings.learning_rate, betas=(0.9, 0.99), weight_decay=settings.weight_decay)
    return [muon, adamw]


def rate_at(step: int, settings: DenoiserSettings) -> float:
    """The share of the learning rate, in each cycle: warm-up, then constant, then a linear decay over its last part."""
    cycle = iter(settings.cycles)
    length = next(cycle)
    while step >= length:
        step, length = step - length, next(cycle)
    decay = max(1, round(length * settings.decay_share))
    return min(1.0, (step + 1) / settings.warmup, (length - step) / decay)
