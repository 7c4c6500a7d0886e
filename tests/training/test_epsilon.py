"""The epsilon world is a small SD: its UNet predicts the noise, tokens stand beside the prompt, and it learns as the
miniature does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from anima_fast_train.training import TrainingSettings, train_context_tokens
from anima_fast_train.training.adapters.layers import adaptable_layers
from anima_fast_train.training.conditioning import cat, of_one_length
from anima_fast_train.training.epsilon.backbone import WEIGHTS, EpsilonBackbone
from anima_fast_train.training.epsilon.schedule import noise_table, timestep_of
from anima_fast_train.training.epsilon.unet import SmallUNet, UNetSize
from anima_fast_train.training.epsilon.worlds import WORLDS, world_called
from anima_fast_train.training.measurements.compare import drawn_reference
from anima_fast_train.training.miniature.backbone import sample
from anima_fast_train.training.references.augmentation import ImageAugmentation

SMALL = UNetSize(model_channels=32, channel_mult=(1, 2), context_dim=12)


@pytest.fixture(scope="module")
def epsilon() -> EpsilonBackbone:
    return EpsilonBackbone()


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def random_unet(size: UNetSize = SMALL) -> SmallUNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return SmallUNet(size).eval().requires_grad_(False)


def test_the_weights_fit_into_the_repository() -> None:
    assert WEIGHTS.stat().st_size <= 16_000_000


def test_noise_is_counted_as_in_stable_diffusion() -> None:
    sigmas = noise_table().sigmas
    assert sigmas[0].item() == pytest.approx(0.02917, abs=1e-5)
    assert sigmas[-1].item() == pytest.approx(14.6146, abs=1e-4)
    levels = torch.tensor([0.0, 0.001, 0.5, 1.0])
    assert timestep_of(levels).tolist() == pytest.approx([0, 0, 499, 999])


@torch.no_grad()
def test_every_block_reads_tokens_of_its_own_beside_the_prompt() -> None:
    unet = random_unet()
    x, timestep, context = noise(2, 16, 8, 12), torch.tensor([3.0, 800.0]), noise(2, 5, 12, seed=1)
    plain = unet(x, timestep, context)
    assert plain.shape == x.shape
    tokens = noise(unet.num_blocks, 3, 12, seed=2)
    for block in range(unet.num_blocks):
        changed = tokens.clone()
        changed[block] += 1
        assert not torch.allclose(unet(x, timestep, context, changed), unet(x, timestep, context, tokens), atol=1e-6)
    together = torch.cat((context, tokens[:1].expand(2, -1, -1, -1)[:, 0]), dim=1)
    shared = unet(x, timestep, context, tokens[:1].expand(unet.num_blocks, -1, -1))
    torch.testing.assert_close(unet(x, timestep, together), shared)


@torch.no_grad()
def test_rows_of_a_batch_may_differ_in_tokens_and_prompts(epsilon: EpsilonBackbone) -> None:
    x, levels = noise(2, 16, 16, 16), torch.tensor([0.3, 0.9])
    tokens = noise(2, epsilon.num_blocks, 4, epsilon.context_dim, seed=1)
    prompts = [epsilon.encode_prompt("1girl, smile"), epsilon.encode_prompt("2girls, blue background")]
    together = epsilon.predict(x, levels, cat(of_one_length(prompts)), tokens)
    for row, prompt in enumerate(prompts):
        alone = epsilon.predict(x[row : row + 1], levels[row : row + 1], prompt, tokens[row])
        torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_it_predicts_the_noise(epsilon: EpsilonBackbone) -> None:
    """Learned: fails on random weights."""
    (encoded,) = drawn_reference(epsilon, 700, ImageAugmentation(cut_paste=0.0))
    added, level = noise(*encoded.latent.shape, seed=4), torch.tensor([0.5])
    x_t = epsilon.add_noise(encoded.latent, added, level)
    prediction = epsilon.predict(x_t, level, encoded.conditioning)
    assert (prediction - epsilon.target(encoded.latent, added, level)).square().mean() < 0.3
    blind = epsilon.predict(x_t, level, epsilon.encode_prompt("no humans, green background"))
    assert not torch.allclose(blind, prediction, atol=1e-2)


def test_gradients_flow_into_tokens_alone(epsilon: EpsilonBackbone) -> None:
    tokens = noise(epsilon.num_blocks, 2, epsilon.context_dim).requires_grad_()
    level = torch.tensor([0.6])
    epsilon.predict(noise(1, 16, 16, 16), level, epsilon.encode_prompt("1girl"), tokens).square().mean().backward()
    assert tokens.grad is not None and (tokens.grad.abs().amax((1, 2)) > 0).all()
    assert all(parameter.grad is None for parameter in epsilon.unet.parameters())


def test_samples_follow_their_seeds(epsilon: EpsilonBackbone) -> None:
    drawn = sample(epsilon, "1girl, red hair, upper body", [1, 2, 1], (128, 128), steps=4)
    assert drawn.shape == (3, 128, 128, 3)
    assert torch.equal(drawn[0], drawn[2]) and not torch.allclose(drawn[0], drawn[1], atol=0.05)


def test_training_learns_a_reference_it_has_never_seen(epsilon: EpsilonBackbone) -> None:
    """Inside the mask the error falls; outside it stays what it was."""
    encoded = drawn_reference(epsilon, 701, ImageAugmentation(cut_paste=0.0))
    settings = TrainingSettings(steps=40, learning_rate="0.2", num_tokens=8, evaluations=1, noise_pool=64)
    result = train_context_tokens(epsilon, encoded, settings)
    assert result.after.inside < 0.95 * result.before.inside
    assert result.after.outside < 1.1 * result.before.outside
    assert result.after.leak < 0.2
    assert result.trained.info.model_family == "epsilon"


def test_adapters_find_attention_mlp_and_convolutions() -> None:
    purposes = {layer.purpose for layer in adaptable_layers(random_unet())}
    assert {"attention", "mlp", "convolution"} <= purposes


def test_worlds_are_found_by_name() -> None:
    assert set(WORLDS) == {"miniature", "epsilon"}
    assert world_called("epsilon").weights == WEIGHTS
    with pytest.raises(ValueError, match="world is 'sdxl', expected one of: miniature, epsilon"):
        world_called("sdxl")
