"""Noise levels have the distribution that was asked for, and come from the seed alone."""

from __future__ import annotations

import math

import pytest
import torch

from anima_fast_train.training.batches.noise_pool import draw_entries
from anima_fast_train.training.diffusion.levels import LevelDistribution, level_at, shift_level

EVERY_KIND = [
    LevelDistribution(distribution=distribution, shift=shift)
    for distribution in ("uniform", "logit_normal")
    for shift in (1.0, 3.0)
]
POOL = 64


def pool_levels(distribution: LevelDistribution, size: int = POOL) -> torch.Tensor:
    """As a noise pool holds them: the middles of equally likely parts, rising."""
    return level_at((torch.arange(size, dtype=torch.float64) + 0.5) / size, distribution).float()


def draw(distribution: LevelDistribution, count: int, stratified: bool, generator: torch.Generator) -> torch.Tensor:
    return pool_levels(distribution)[draw_entries(POOL, count, stratified, generator)]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("stratified", [True, False])
@pytest.mark.parametrize("distribution", EVERY_KIND)
def test_the_same_seed_draws_the_same_levels_and_another_seed_others(distribution, stratified):
    first, again, other = (draw(distribution, 16, stratified, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("distribution", EVERY_KIND)
def test_levels_rise_from_the_image_to_noise(distribution):
    levels = pool_levels(distribution, 10_000)
    assert levels.dtype == torch.float32
    assert 0 < levels.min() < levels.max() < 1
    assert (levels.diff() > 0).all()


@pytest.mark.parametrize("stratified", [True, False])
@pytest.mark.parametrize("distribution", EVERY_KIND)
@pytest.mark.parametrize("batch_size", [1, 4])
def test_many_batches_together_have_the_distribution_that_was_asked_for(distribution, batch_size, stratified):
    generator = seeded()
    levels = torch.cat([draw(distribution, batch_size, stratified, generator) for _ in range(8000 // batch_size)])
    quantiles = torch.tensor([0.125, 0.25, 0.5, 0.75, 0.875], dtype=torch.float64)  # between entries of the pool
    below = (levels[:, None] < level_at(quantiles, distribution)).double().mean(0)
    # About four standard deviations of 8,000 free draws.
    torch.testing.assert_close(below, quantiles, atol=0.02, rtol=0)


def test_logit_normal_levels_have_the_mean_and_spread_of_their_logits():
    logits = torch.logit(pool_levels(LevelDistribution(mean=0.5, std=1.5), 20_000).double())
    assert logits.mean().item() == pytest.approx(0.5, abs=0.01)
    assert logits.std().item() == pytest.approx(1.5, abs=0.01)


@pytest.mark.parametrize("distribution", ["uniform", "logit_normal"])
def test_stratified_levels_fall_one_into_each_equally_likely_part(distribution):
    settings = LevelDistribution(distribution=distribution, shift=3.0)
    edges = level_at(torch.linspace(0, 1, 9, dtype=torch.float64), settings)
    generator = seeded()
    for _ in range(20):
        parts = torch.bucketize(draw(settings, 8, True, generator).double(), edges) - 1
        assert parts.sort().values.tolist() == list(range(8))


def test_shift_is_the_samplers_own_and_keeps_both_ends():
    level = torch.tensor([0.0, 0.25, 0.5, 1.0])
    torch.testing.assert_close(shift_level(level, 3.0), torch.tensor([0.0, 0.5, 0.75, 1.0]))
    torch.testing.assert_close(shift_level(level, 1.0), level)


def test_both_ends_of_the_distribution_are_finite():
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    for distribution in EVERY_KIND:
        assert level_at(ends, distribution).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    "change", [{"distribution": "normal"}, {"std": 0.0}, {"shift": -1.0}, {"shift": math.nan}, {"std": math.inf}]
)
def test_settings_without_meaning_are_refused(change):
    with pytest.raises(ValueError, match=rf"^level {next(iter(change))} is .*, expected"):
        LevelDistribution(**change)
