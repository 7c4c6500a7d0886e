"""Measures what is trained: the evaluation loss inside and outside the mask on a fixed grid of levels and noise, and
the leak.

The grid does not depend on the training seed and shares no noise with the training pool, so that before and after, and
one run and another, compare.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .backbone import Backbone
from .batches.noise_pool import NoisePool, make_pools, pool_sizes
from .conditioning import cat
from .diffusion.levels import LevelDistribution
from .loss import latent_mask_like, weighted_mean
from .references.encode import EncodedReference

GRID_SEED = 20_221_217
SMALLEST_ERROR = 1e-12  # below it nothing is lacking

# What the backbone takes as `trained` for rows at levels [B].
TrainedAt = Callable[[Tensor], Any]


@dataclass(frozen=True)
class Evaluation:
    """Mean squared errors over the grid. `leak` is the mean squared difference that what is trained makes
    outside the mask, over the outside error without it. Outside numbers are 0 where every mask is white.

    unseen, unseen_leak: the error inside and the leak on views of the references that training never sees, at other
    places before other backgrounds under prompts that name them; None where there are none. The leak there says how
    much of what the prompt asks for is kept from it.

    supplied, unseen_supplied: what is trained moves the prediction inside the mask by d, and r is what it lacked:
    <d, r> / <r, r>, the mean over the grid; None without anything trained. Samples show the subject as far as d goes
    the right way, which guidance then makes longer; that the error falls less when it goes some other way besides says
    less about them (`compare-estimates`).
    """

    inside: float
    outside: float
    leak: float = 0.0
    unseen: float | None = None
    unseen_leak: float | None = None
    supplied: float | None = None
    unseen_supplied: float | None = None

    @property
    def carried(self) -> float | None:
        """How much of the subject comes along, from one picture and without ground truth: the mean of what is supplied
        on the reference and on unseen views; None where one of them is not known."""
        if self.supplied is None or self.unseen_supplied is None:
            return None
        return (self.supplied + self.unseen_supplied) / 2

    @property
    def balance(self) -> float:
        """The one inside over the one outside; 1 where one of them is 0.

        A plain background is predicted well, so the same change there is a larger share of its error, and leaks more.
        With this factor of the prior weight the miniature leaked 0.05 to 0.08 over ten references; without it 0.12 on
        two of four.
        """
        return self.inside / self.outside if self.inside > 0 and self.outside > 0 else 1.0


class EvaluationGrid:
    """The fixed grid for a set of references, with the model's own predictions computed once.

    entries: forward passes of one measurement; half of them are spent on unseen views where there are any.
    """

    def __init__(
        self, backbone: Backbone, references: Sequence[EncodedReference], entries: int, batch_size: int = 4
    ) -> None:
        whole = [reference.without_augmentation() for reference in references]
        unseen = [reference.held_back_views() for reference in references if reference.held_back]
        if unseen:
            entries = max(2, entries // 2)
        self._whole = _Grid(backbone, whole, entries, batch_size)
        self._unseen = _Grid(backbone, unseen, entries, batch_size) if unseen else None
        self.before = self._measure(None)

    def measure(self, trained_at: TrainedAt) -> Evaluation:
        """The errors with what is trained."""
        return self._measure(trained_at)

    def _measure(self, trained_at: TrainedAt | None) -> Evaluation:
        inside, outside, leak, supplied = self._whole.measure(trained_at)
        if self._unseen is None:
            return Evaluation(inside, outside, leak, supplied=supplied)
        unseen, _, unseen_leak, unseen_supplied = self._unseen.measure(trained_at)
        return Evaluation(inside, outside, leak, unseen, unseen_leak, supplied, unseen_supplied)


class _Grid:
    """One set of views, each reference with its own pool."""

    def __init__(
        self, backbone: Backbone, references: Sequence[EncodedReference], entries: int, batch_size: int
    ) -> None:
        self._backbone, self._batch_size, self._references = backbone, batch_size, references
        distribution = LevelDistribution("uniform", shift=backbone.level_shift)
        generator = torch.Generator().manual_seed(GRID_SEED)
        sizes = pool_sizes(entries, references)
        self._pools = make_pools(backbone, references, sizes, distribution, generator, batch_size)
        self._outside = self._errors(None)[1]

    def measure(self, trained_at: TrainedAt | None) -> tuple[float, float, float, float | None]:
        """The errors inside and outside, the change outside as a share of the error there without what is trained, and
        what is supplied inside."""
        inside, outside, moved, supplied = self._errors(trained_at)
        leak = moved / self._outside if self._outside > 0 else 0.0
        return inside, outside, leak, None if trained_at is None else supplied

    @torch.no_grad()
    def _errors(self, trained_at: TrainedAt | None) -> tuple[float, float, float, float]:
        inside = outside = moved = supplied = 0.0
        total = sum(reference.weight for reference in self._references)
        for reference, pool in zip(self._references, self._pools, strict=True):
            rows = torch.arange(len(pool)).split(self._batch_size)
            errors = torch.cat([self._errors_of_rows(reference, pool, part, trained_at) for part in rows])
            share = reference.weight / total
            inside, outside, moved, supplied = (
                value + share * float(error)
                for value, error in zip((inside, outside, moved, supplied), errors.mean(0), strict=True)
            )
        return inside, outside, moved, supplied

    def _errors_of_rows(
        self, reference: EncodedReference, pool: NoisePool, rows: Tensor, trained_at: TrainedAt | None
    ) -> Tensor:
        """[rows,4]: the error inside, the error outside, the change outside, what is supplied inside."""
        device = reference.latent.device
        assert pool.base is not None
        level, noise, base = (part[rows].to(device) for part in (pool.level, pool.noise, pool.base))
        shown = [reference.shown_as[number] for number in pool.shown[rows].tolist()]
        x0 = torch.cat([view.latent for view in shown])
        prediction = base
        if trained_at is not None:
            x_t = self._backbone.add_noise(x0, noise, level)
            conditioning = cat([view.conditioning for view in shown])
            prediction = self._backbone.predict(x_t, level, conditioning, trained_at(level)).float()
        target = self._backbone.target(x0, noise, level)
        mask = latent_mask_like(prediction, torch.cat([view.latent_mask for view in shown]))
        moved, lacked = prediction - base, target - base

        def mean(values: Tensor, weights: Tensor) -> Tensor:
            return weighted_mean(values.mean(1, keepdim=True), weights, normalize_area=True)

        error = (prediction - target).square()
        supplied = mean(moved * lacked, mask) / mean(lacked.square(), mask).clamp_min(SMALLEST_ERROR)
        return torch.stack(
            [mean(error, mask), mean(error, 1 - mask), mean(moved.square(), 1 - mask), supplied],
            dim=1,
        )


def automatic_grid_size(rows: int, evaluations: int) -> int:
    """Entries for which all evaluations together cost less than a tenth of a run of `rows` training rows.

    A row of training costs at least twice a forward pass, and the model as it is is measured once.
    """
    return max(4, min(32, round(0.2 * rows / (evaluations + 1))))


def evaluation_steps(steps: int, evaluations: int) -> frozenset[int]:
    """After which steps to measure: evenly spread, the last of them after the last step."""
    return frozenset(max(1, round(steps * (number + 1) / evaluations)) for number in range(evaluations))
