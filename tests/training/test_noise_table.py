"""Models that predict noise or velocity at a table of sigmas: levels and sigmas belong together, and what a perfect
prediction points to is the image."""

from __future__ import annotations

import pytest
import torch

from anima_fast_train.training.conditioning import Conditioning
from anima_fast_train.training.diffusion.parametrisation import Epsilon, NoiseTable, Parametrisation, Velocity
from anima_fast_train.training.diffusion.sampling import sample_latents


def table(zero_terminal: bool = False) -> NoiseTable:
    """Stable Diffusion's; with zero_terminal its end is noise alone (Lin 2023)."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    roots = torch.cumprod(1 - betas, 0).sqrt()
    if zero_terminal:
        roots = (roots - roots[-1]) * roots[0] / (roots[0] - roots[-1])
        roots[-1] = 2.2e-4
    return NoiseTable(((1 - roots**2) / roots**2).sqrt().float())


def test_each_sigma_has_its_level_and_none_comes_before_the_image() -> None:
    sigmas = table().sigmas
    levels = torch.arange(1, 1001) / 1000
    torch.testing.assert_close(table().sigma(levels), sigmas)
    assert float(table().sigma(torch.zeros(1))) == 0
    assert (table().sigma(torch.linspace(0, 1, 5001)).diff() > 0).all()


@pytest.mark.parametrize("zero_terminal", [False, True])
def test_a_sigma_is_found_at_its_level(zero_terminal: bool) -> None:
    noise = table(zero_terminal)
    for level in (0.0, 0.0004, 0.001, 0.3337, 0.9, 1.0):
        assert noise.level(float(noise.sigma(torch.tensor([level])))) == pytest.approx(level, abs=1e-5)
    assert noise.level(1e9) == 1 and noise.level(0.0) == 0


@pytest.mark.parametrize("zero_terminal", [False, True])
@pytest.mark.parametrize("kind", [Epsilon, Velocity])
def test_a_perfect_prediction_points_to_the_image(kind: type[Epsilon], zero_terminal: bool) -> None:
    model = kind(table(zero_terminal))
    generator = torch.Generator().manual_seed(0)
    x0, noise = torch.randn(2, 3, 4, 8, 8, generator=generator).double()
    level = torch.tensor([0.05, 0.5, 0.99])
    x_t, target = model.add_noise(x0, noise, level), model.target(x0, noise, level)
    torch.testing.assert_close(model.estimate_x0(x_t, target, level), x0, rtol=0, atol=1e-6)
    torch.testing.assert_close(Parametrisation.target(model, x0, noise, level), target, rtol=0, atol=1e-5)
    assert 0.7 < float(model.model_input(x_t, level).std()) < 1.4


def test_velocity_says_something_of_the_image_where_all_is_noise() -> None:
    model, x0 = Velocity(table(True)), torch.full((1, 4, 8, 8), 0.5)
    target = model.target(x0, torch.zeros_like(x0), torch.ones(1))
    torch.testing.assert_close(target, -x0, rtol=0, atol=1e-3)


@pytest.mark.parametrize("zero_terminal", [False, True])
@pytest.mark.parametrize("kind", [Epsilon, Velocity])
def test_the_sampler_ends_at_the_image_that_all_predictions_point_to(kind: type[Epsilon], zero_terminal: bool) -> None:
    image = torch.full((1, 4, 8, 8), 0.25)

    class Knowing(kind):  # type: ignore[valid-type, misc]
        level_shift = 1.0

        def predict(self, x_t: torch.Tensor, level: torch.Tensor, *_: object) -> torch.Tensor:
            sigma = self.sigma(level).view(-1, 1, 1, 1)
            return self.target(image, (x_t - image) / sigma, level)

    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    prompt = Conditioning(torch.zeros(1, 1, 1))
    drawn = sample_latents(Knowing(table(zero_terminal)), noise, prompt, lambda level: None, 4)
    torch.testing.assert_close(drawn, image, rtol=0, atol=2e-3)
