"""Noise levels have the distribution that was asked for, and come from the seed alone."""

from __future__ import annotations

import math

import pytest
import torch

from anima_fast_train.training.diffusion.levels import SigmaSettings, sample_sigma, shift_sigma, sigma_at, sigma_grid

EVERY_KIND = [
    SigmaSettings(distribution=distribution, shift=shift, stratified=stratified)
    for distribution in ("uniform", "logit_normal")
    for shift in (1.0, 3.0)
    for stratified in (True, False)
]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("settings", EVERY_KIND)
def test_the_same_seed_gives_the_same_levels_and_another_seed_others(settings):
    first, again, other = (sample_sigma(16, settings, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("settings", EVERY_KIND)
def test_levels_are_float32_between_the_picture_and_noise(settings):
    sigma = sample_sigma(10_000, settings, seeded())
    assert sigma.shape == (10_000,)
    assert sigma.dtype == torch.float32
    assert 0 <= sigma.min() < sigma.max() <= 1


@pytest.mark.parametrize("settings", EVERY_KIND)
@pytest.mark.parametrize("batch_size", [1, 4])
def test_many_batches_together_have_the_distribution_that_was_asked_for(settings, batch_size):
    generator = seeded()
    sigma = torch.cat([sample_sigma(batch_size, settings, generator) for _ in range(8000 // batch_size)])
    quantiles = torch.tensor([0.1, 0.25, 0.5, 0.75, 0.9], dtype=torch.float64)
    expected = sigma_at(quantiles, settings)
    below = (sigma[:, None] < expected).double().mean(0)
    torch.testing.assert_close(
        below, quantiles, atol=0.02, rtol=0
    )  # about four standard deviations of 8,000 free draws


def test_logit_normal_levels_have_the_mean_and_spread_of_their_logits():
    logits = torch.logit(sample_sigma(20_000, SigmaSettings(mean=0.5, std=1.5), seeded()).double())
    assert logits.mean().item() == pytest.approx(0.5, abs=0.02)
    assert logits.std().item() == pytest.approx(1.5, abs=0.02)


@pytest.mark.parametrize("distribution", ["uniform", "logit_normal"])
def test_stratified_levels_fall_one_into_each_equally_likely_part(distribution):
    settings = SigmaSettings(distribution=distribution, shift=3.0)
    edges = sigma_at(torch.linspace(0, 1, 9, dtype=torch.float64), settings)
    generator = seeded()
    for _ in range(20):
        parts = torch.bucketize(sample_sigma(8, settings, generator).double(), edges) - 1
        assert parts.sort().values.tolist() == list(range(8))


def test_no_row_always_gets_the_same_part_of_the_range():
    generator = seeded()
    first_row = torch.stack([sample_sigma(4, SigmaSettings(distribution="uniform"), generator)[0] for _ in range(200)])
    assert torch.histc(first_row, bins=4, min=0, max=1).min() > 25


def test_shift_is_the_samplers_own_and_keeps_both_ends():
    sigma = torch.tensor([0.0, 0.25, 0.5, 1.0])
    torch.testing.assert_close(shift_sigma(sigma, 3.0), torch.tensor([0.0, 0.5, 0.75, 1.0]))
    torch.testing.assert_close(shift_sigma(sigma, 1.0), sigma)


def test_both_ends_of_the_distribution_are_finite():
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    for settings in EVERY_KIND:
        assert sigma_at(ends, settings).tolist() == [0.0, 1.0]


def test_the_grid_is_fixed_rising_and_in_the_middle_of_each_part():
    assert sigma_grid(4, SigmaSettings(distribution="uniform")).tolist() == [0.125, 0.375, 0.625, 0.875]
    grid = sigma_grid(9, SigmaSettings())
    assert (grid.diff() > 0).all()
    assert grid[4] == 0.5


@pytest.mark.parametrize(
    "change", [{"distribution": "normal"}, {"std": 0.0}, {"shift": -1.0}, {"shift": math.nan}, {"std": math.inf}]
)
def test_settings_without_meaning_are_refused(change):
    with pytest.raises(ValueError, match=rf"^sigma {next(iter(change))} is .*, expected"):
        SigmaSettings(**change)
