"""Measures what the trainer adds to the work that cannot be avoided, both in one process and in turn."""

from __future__ import annotations

import statistics
import time

import torch

from ..miniature.backbone import MiniatureBackbone
from ..settings import TrainingSettings
from ..train_context import context_trainer
from .compare import FIRST_SEED, drawn_reference


def overhead(steps: int, rounds: int) -> str:
    """Text: median milliseconds of a trainer step and of a bare step of forward, backward and AdamW on equal
    batches."""
    backbone = MiniatureBackbone()
    references = drawn_reference(backbone, FIRST_SEED)
    settings = TrainingSettings(steps=steps * (rounds + 1))
    trainer = context_trainer(backbone, references, settings)
    reference, batch = references[0], settings.batch_size
    conditioning = reference.conditioning.expand(batch)
    x0 = reference.latent.expand(batch, -1, -1, -1)
    noise, level = torch.randn(x0.shape), torch.linspace(0.1, 0.9, batch)
    x_t, target = backbone.add_noise(x0, noise, level), backbone.target(x0, noise, level)
    tokens = torch.randn(backbone.num_blocks, settings.num_tokens, backbone.context_dim).mul_(0.02).requires_grad_()
    optimiser = torch.optim.AdamW([tokens], lr=0.1)

    def bare(number: int) -> None:
        loss = (backbone.predict(x_t, level, conditioning, tokens) - target).square().mean()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    def trained(number: int) -> None:
        trainer.step(0.1)

    times: dict[str, list[float]] = {"bare": [], "trainer": []}
    for _ in range(rounds + 1):  # the first round warms up
        for name, step in (("bare", bare), ("trainer", trained)):
            started = time.perf_counter()
            for number in range(steps):
                step(number)
            times[name].append((time.perf_counter() - started) / steps * 1000)
    bare_ms, trainer_ms = (statistics.median(times[name][1:]) for name in ("bare", "trainer"))
    ratios = [
        trained_ms / plain_ms for trained_ms, plain_ms in zip(times["trainer"][1:], times["bare"][1:], strict=True)
    ]
    return (
        f"bare loop: {bare_ms:.2f} ms a step\ntrainer: {trainer_ms:.2f} ms a step\noverhead: "
        f"{statistics.median(ratios) - 1:+.1%} (median of {rounds} rounds of {steps} steps in turn, batch {batch})"
    )
