"""A fixed set of noised references with the model's own predictions for them, computed once.

Prior preservation and the evaluation both compare with what the model predicts by itself. Drawing each step's noise
from
a pool makes those predictions cheap: one forward pass for each entry before training, none during it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..backbone import Backbone
from ..conditioning import cat
from ..diffusion.levels import LevelDistribution, level_at
from ..references.encode import EncodedReference

# Of a pool whose size is left to the run: at 512 px the noise and the prediction of an entry take half a MB together.
MOST_AUTOMATIC = 1024


@dataclass(frozen=True)
class NoisePool:
    """For one reference: level [P] rising, noise [P,C,...] and, where computed, base predictions [P,C,...], on the CPU.

    shown [P] is the number, in `shown_as`, of what each entry shows of the reference, since a base prediction belongs
    to one prompt and one image.
    """

    level: Tensor
    noise: Tensor
    base: Tensor | None
    shown: Tensor

    def __len__(self) -> int:
        return len(self.level)


def pool_sizes(total: int, references: Sequence[EncodedReference]) -> list[int]:
    """`total` entries shared out by the references' weights, at least one each."""
    weight = sum(reference.weight for reference in references)
    return [max(1, round(total * reference.weight / weight)) for reference in references]


def make_pools(
    backbone: Backbone,
    references: Sequence[EncodedReference],
    sizes: Sequence[int],
    distribution: LevelDistribution,
    generator: torch.Generator,
    batch_size: int,
    with_base: bool = True,
    unlearned: Callable[[Tensor], Any] = lambda level: None,
) -> list[NoisePool]:
    """One pool a reference; the levels of all together are the middles of equally likely parts.

    distribution: how levels are drawn. generator: a CPU generator for the noise. with_base: False skips the model.
    unlearned: what the model is given as trained at levels [B].
    """
    pools = []
    for number, (reference, size) in enumerate(zip(references, sizes, strict=True)):
        # Each reference starts elsewhere in its parts, so that many references with one entry each still cover them.
        offset = (number + 0.5) / len(references)
        level = level_at((torch.arange(size, dtype=torch.float64) + offset) / size, distribution).float()
        noise = torch.randn(size, *reference.latent.shape[1:], generator=generator)
        shown = spread_augmented(len(reference.shown_as), size, generator)
        base = None
        if with_base:
            base = _base_predictions(backbone, reference, level, noise, shown, batch_size, unlearned)
        pools.append(NoisePool(level, noise, base, shown))
    return pools


def spread_augmented(count: int, size: int, generator: torch.Generator) -> Tensor:
    """[size] numbers below `count`, each as often as the others and at random levels; one leaves the generator
    alone."""
    if count == 1:
        return torch.zeros(size, dtype=torch.long)
    rounds = [torch.randperm(count, generator=generator) for _ in range(math.ceil(size / count))]
    return torch.cat(rounds)[:size]


@torch.no_grad()
def _base_predictions(
    backbone: Backbone,
    reference: EncodedReference,
    level: Tensor,
    noise: Tensor,
    shown: Tensor,
    batch_size: int,
    unlearned: Callable[[Tensor], Any],
) -> Tensor:
    predictions = []
    device = reference.latent.device
    for levels, noises, numbers in zip(
        level.split(batch_size), noise.split(batch_size), shown.split(batch_size), strict=True
    ):
        levels, noises = levels.to(device), noises.to(device)
        rows = [reference.shown_as[number] for number in numbers.tolist()]
        x_t = backbone.add_noise(torch.cat([row.latent for row in rows]), noises, levels)
        prediction = backbone.predict(x_t, levels, cat([row.conditioning for row in rows]), unlearned(levels))
        predictions.append(prediction.float().cpu())
    return torch.cat(predictions)


def draw_entries(pool_size: int, count: int, stratified: bool, generator: torch.Generator) -> Tensor:
    """`count` entries of a pool whose levels rise: stratified, one from each of `count` equal parts of it."""
    fraction = torch.rand(count, generator=generator)
    if stratified:
        fraction = (torch.arange(count) + fraction) / count
    return (fraction * pool_size).long().clamp(max=pool_size - 1)


def automatic_pool_size(rows: int) -> int:
    """Entries whose forward passes cost less than a third of a run of `rows` training rows.

    A row of training costs at least twice a forward pass (2.1 times on Anima at 512 px). A noise that is seen often is
    learned by heart: contexts of the miniature carried more of the character and obeyed more with 800 than with 480.
    """
    return max(16, min(MOST_AUTOMATIC, math.floor(2 * rows / 3)))
