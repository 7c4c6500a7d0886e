"""Times a training step beside what the device could do at most and beside a plain loop, in one process and in turn."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..fast_path.block import Kept
from ..settings import TrainingSettings
from ..train_context import context_trainer
from ..trainables.placed_tokens import PlacedTokens
from ..trainer import Trainer
from .bench_model import Preset, RandomBackbone
from .ceilings import copy_ceiling, matrix_ceiling, now
from .step_memory import memory_of

GIB = 2**30
LEAST_CEILING_ROWS = 1024


@dataclass(frozen=True)
class Bench:
    """Medians. Seconds of a step and of its parts; rest is what the trainer adds. Bytes are above the weights; floor is
    what the operations take at the device's matrix ceiling."""

    preset: str
    device: str
    dtype: str
    blocks: int
    width: int
    side: int
    batch: int
    kept: str
    threads: int
    parameters: int
    step: float
    forward: float
    backward: float
    optimiser: float
    rest: float
    peak_bytes: int
    predicted_bytes: int
    operations: int
    matrix_per_second: float
    copy_bytes_per_second: float
    floor: float
    plain_step: float
    plain_peak_bytes: int


class BareStep:
    """A forward pass, a backward pass and AdamW on a fixed batch; a plain loop where the backbone is plain."""

    def __init__(self, backbone: RandomBackbone) -> None:
        preset, reference = backbone.preset, backbone.reference()
        self._backbone, self._conditioning = backbone, reference.conditioning.expand(preset.batch)
        x0 = reference.latent.expand(preset.batch, -1, -1, -1)
        noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(0)).to(x0)
        self._level = torch.linspace(0.1, 0.9, preset.batch).to(x0)
        self._x_t, self._target = backbone.add_noise(x0, noise, self._level), backbone.target(x0, noise, self._level)
        shape = backbone.num_blocks, preset.tokens, backbone.context_dim
        self.tokens = (0.02 * torch.randn(shape, device=x0.device)).requires_grad_()
        self._optimiser = torch.optim.AdamW([self.tokens], lr=1e-3)

    def forward(self) -> Tensor:
        tokens = PlacedTokens(own=self.tokens)
        prediction = self._backbone.predict(self._x_t, self._level, self._conditioning, tokens)
        return (prediction - self._target).square().mean()

    def timed(self) -> tuple[float, float, float]:
        """Seconds of forward, backward and optimiser."""
        device = self._x_t.device
        clock = [now(device)]
        loss = self.forward()
        clock.append(now(device))
        loss.backward()
        clock.append(now(device))
        self._optimiser.step()
        self._optimiser.zero_grad()
        clock.append(now(device))
        return clock[1] - clock[0], clock[2] - clock[1], clock[3] - clock[2]

    def gradients(self) -> None:
        self.forward().backward()


def bare_trainer(backbone: RandomBackbone, steps: int, references: int = 1) -> Trainer:
    """The trainer with all off that costs forward passes of its own."""
    settings = TrainingSettings(
        steps=steps,
        batch_size=backbone.preset.batch,
        num_tokens=backbone.preset.tokens,
        prior_weight=0.0,
        noise_pool=references,
        evaluations=1,
    )
    return context_trainer(backbone, [backbone.reference()] * references, settings)


def measure(name: str, preset: Preset, device: torch.device, kept: Kept, rounds: int) -> Bench:
    """Rounds of a step of the trainer, of a bare step and of a plain one, in turn, after one that warms up."""
    backbone = RandomBackbone(preset, device)
    backbone.kept = [kept] * backbone.num_blocks
    trainer = bare_trainer(backbone, rounds + 1)
    bare = BareStep(backbone)

    def trained() -> tuple[float, ...]:
        started = now(device)
        trainer.step(1e-3)
        return (now(device) - started,)

    fast, whole, plain = _in_turn(backbone, [bare.timed, trained, bare.timed], rounds)
    forward, backward, optimiser = (statistics.median(part) for part in zip(*fast, strict=True))
    step = statistics.median(seconds for (seconds,) in whole)
    size, shape = preset.size, preset.shape()
    ceiling = matrix_ceiling(
        max(LEAST_CEILING_ROWS, preset.batch * preset.positions), size.model_channels, preset.dtype, device
    )
    operations = shape.step(backbone.kept)
    backbone.plain = True
    plain_peak = memory_of(bare.gradients, device).peak
    backbone.plain = False
    return Bench(
        preset=name,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        dtype=str(preset.dtype).removeprefix("torch."),
        blocks=size.num_blocks,
        width=size.model_channels,
        side=preset.side,
        batch=preset.batch,
        kept=kept.name,
        threads=torch.get_num_threads(),
        parameters=shape.parameters,
        step=step,
        forward=forward,
        backward=backward,
        optimiser=optimiser,
        rest=step - forward - backward - optimiser,
        peak_bytes=memory_of(bare.gradients, device).peak,
        predicted_bytes=preset.activations().of_step(backbone.kept),
        operations=operations,
        matrix_per_second=ceiling,
        copy_bytes_per_second=copy_ceiling(device),
        floor=operations / ceiling,
        plain_step=statistics.median(sum(parts) for parts in plain),
        plain_peak_bytes=plain_peak,
    )


def table(bench: Bench) -> str:
    """For a reader."""
    lines = [
        f"{bench.preset}: width {bench.width}, {bench.blocks} blocks, {bench.parameters / 1e6:.0f} million weights, "
        f"{bench.side} px, batch {bench.batch}, {bench.dtype} on {bench.device} ({bench.threads} threads), "
        f"blocks keep {bench.kept}",
        f"a step: {bench.step:.3g} s: forward {bench.forward:.3g}, backward {bench.backward:.3g}, optimiser "
        f"{bench.optimiser:.2g}, everything else {bench.rest:.2g} ({bench.rest / bench.step:+.1%})",
        f"over forward and backward alone: {bench.step / (bench.forward + bench.backward):.3f}",
        f"floor: {bench.floor:.3g} s for {bench.operations / 1e12:.3g} T operations at the matrix ceiling of "
        f"{bench.matrix_per_second / 1e12:.3g} T a second: {bench.floor / bench.step:.0%} of the ceiling reached "
        f"(copies: {bench.copy_bytes_per_second / 1e9:.3g} GB a second)",
        f"memory above the weights: {bench.peak_bytes / GIB:.3g} GiB, predicted {bench.predicted_bytes / GIB:.3g}",
        f"plain loop: {bench.plain_step:.3g} s, {bench.plain_peak_bytes / GIB:.3g} GiB: the step takes "
        f"{bench.step / bench.plain_step:.2f} of its time and {bench.peak_bytes / bench.plain_peak_bytes:.2f} of its "
        "memory",
    ]
    return "\n".join(lines)


def _in_turn(
    backbone: RandomBackbone, kinds: Sequence[Callable[[], tuple[float, ...]]], rounds: int
) -> list[list[tuple[float, ...]]]:
    """What each of (fast, trainer, plain) measured, round after round."""
    results: list[list[tuple[float, ...]]] = [[] for _ in kinds]
    for number in range(rounds + 1):
        for kind, (work, taken) in enumerate(zip(kinds, results, strict=True)):
            backbone.plain = kind == len(kinds) - 1
            seconds = work()
            if number:
                taken.append(seconds)
    backbone.plain = False
    return results
