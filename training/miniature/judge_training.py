"""Trains the judge on drawn pictures, as they are and as the miniature's codec and sampler would give them back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .autoencoder import Autoencoder
from .judge import COLOURS, PLACE, WORDS, Judge
from .judge_examples import draw_examples
from .pretraining_pictures import normalised, shuffled_rows, step_generator
from .pretraining_settings import Report
from .stage import run_stage


@dataclass(frozen=True)
class JudgeSettings:
    """One training of the judge. `degraded` is the share of pictures that are not shown as drawn."""

    pictures: int = 24000
    steps: int = 3000
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    degraded: float = 0.75
    seed: int = 0


def loss_of(outputs: Mapping[str, Tensor], truths: Mapping[str, Tensor]) -> Tensor:
    """Cross-entropy of the words, and absolute differences of colours and places where somebody is."""
    there = (truths["hairstyle"] >= 0).float().unsqueeze(-1)
    words = [
        functional.cross_entropy(outputs[name].flatten(0, 1), truths[name].flatten(), ignore_index=-1) for name in WORDS
    ]
    measures = [
        ((outputs[name] - truths[name]).abs() * there).sum() / there.sum().clamp(min=1) for name in (*COLOURS, PLACE)
    ]
    return torch.stack(words).sum() + 4 * torch.stack(measures).sum()


class JudgeTraining:
    """The stage that learns the judge from uint8 pictures and their truths; `codec` is the miniature's."""

    name = "judge"

    def __init__(
        self, pictures: Tensor, truths: Mapping[str, Tensor], codec: Autoencoder, settings: JudgeSettings
    ) -> None:
        self._pictures, self._truths, self._codec, self._settings = pictures, truths, codec, settings
        self.steps = settings.steps
        with torch.random.fork_rng(devices=[]):  # initialisers of torch.nn take no generator
            torch.manual_seed(settings.seed)
            self.judge = Judge().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimiser = torch.optim.AdamW(
            self.judge.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )

    def step(self, number: int) -> float:
        settings = self._settings
        generator = step_generator(settings.seed, self.name, number)
        rows = shuffled_rows(len(self._pictures), settings.batch_size, settings.seed, number)
        pictures = degrade(normalised(self._pictures[rows]), self._codec, settings.degraded, generator)
        self.judge.train()
        with torch.autocast("cpu", torch.bfloat16):
            outputs = self.judge(pictures.contiguous(memory_format=torch.channels_last))
        loss = loss_of(
            {name: value.float() for name, value in outputs.items()},
            {name: value[rows] for name, value in self._truths.items()},
        )
        left = 1 - number / self.steps
        self._optimiser.param_groups[0]["lr"] = settings.learning_rate * min((number + 1) / 100, 1.0, 1.5 * left)
        self._optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.judge.parameters(), 5.0)
        self._optimiser.step()
        return loss.item()

    def state(self) -> dict[str, Any]:
        return {"judge": self.judge.state_dict(), "optimiser": self._optimiser.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.judge.load_state_dict(state["judge"])
        self._optimiser.load_state_dict(state["optimiser"])


@torch.no_grad()
def degrade(pictures: Tensor, codec: Autoencoder, share: float, generator: torch.Generator) -> Tensor:
    """Pictures [B,3,H,W] in -1..1, a `share` of them as the miniature's samples look.

    They go through the codec with a disturbed latent, and come back shifted in colour, blurred and noisy.
    """
    count = len(pictures)
    chosen = torch.rand(count, generator=generator) < share
    if not chosen.any():
        return pictures

    def each(highest: float) -> Tensor:
        return highest * torch.rand(int(chosen.sum()), 1, 1, 1, generator=generator)

    with torch.autocast("cpu", torch.bfloat16):
        latent = codec.encode(pictures[chosen]).float()
        # Noise on single cells and, twice as coarse, on groups of them: a sampler errs on whole patches.
        fine = torch.randn(latent.shape, generator=generator)
        coarse = torch.randn(*latent.shape[:2], latent.shape[2] // 2, latent.shape[3] // 2, generator=generator)
        patches = functional.interpolate(coarse, scale_factor=2.0)
        changed = codec.decode(latent + each(0.35) * fine + each(0.25) * patches).float()
    tint = each(0.08) * torch.randn(len(changed), 3, 1, 1, generator=generator)
    soft = functional.avg_pool2d(changed, 3, 1, 1, count_include_pad=False)
    blur = each(2.0).clamp(max=1) * (each(1.0) < 0.4)
    changed = changed + blur * (soft - changed) + tint + each(0.08) * torch.randn(changed.shape, generator=generator)
    result = pictures.clone()
    result[chosen] = changed.clamp(-1, 1)
    return result


def pretrain_judge(
    path: Path,
    folder: Path,
    codec: Autoencoder,
    settings: JudgeSettings,
    report: Report,
    report_every: int = 50,
    checkpoint_every: int = 100,
) -> Judge:
    """Draws the pictures, trains the steps that `folder` does not hold yet, and writes the weights to `path`."""
    folder.mkdir(parents=True, exist_ok=True)
    report("draw", 0, settings.pictures, math.nan)
    stage = JudgeTraining(*draw_examples(range(settings.pictures)), codec, settings)
    run_stage(stage, folder / "judge.pt", asdict(settings), checkpoint_every, report_every, report)
    stage.judge.save(path)
    return Judge.load(path)
