"""The masked loss counts what the mask selects, and nothing that it leaves out."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from anima_fast_train.training.loss import masked_diffusion_loss, prior_preservation_loss

SHAPES = [(3, 16, 6, 5), (3, 16, 1, 6, 5)]


def latents(shape: tuple[int, ...], seed: int = 0, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """A prediction, a target and a latent mask with black, grey and white in each row."""
    generator = torch.Generator().manual_seed(seed)
    prediction, target = torch.randn(2, *shape, generator=generator).to(dtype)
    mask = (torch.rand(shape[0], 1, *shape[-2:], generator=generator) * 3 - 1).clamp(0, 1)
    return prediction, target, mask


def loss_and_gradient(prediction: Tensor, target: Tensor, mask: Tensor, normalize_area: bool) -> tuple[Tensor, Tensor]:
    prediction = prediction.clone().requires_grad_()
    loss = masked_diffusion_loss(prediction, target, mask, normalize_area=normalize_area)
    return loss.detach(), torch.autograd.grad(loss.sum(), prediction)[0]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_without_area_normalisation_it_is_the_mean_of_mask_times_squared_error(shape, dtype):
    prediction, target, mask = latents(shape, dtype=dtype)
    error = (prediction.float() - target.float()).square().reshape(3, 16, 6, 5)
    torch.testing.assert_close(
        masked_diffusion_loss(prediction, target, mask, normalize_area=False), (mask * error).mean(dim=(1, 2, 3))
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("unmasked_weight", [0.0, 0.1, 1.0])
def test_with_area_normalisation_it_is_clamped_and_divided_by_the_mean_weight(shape, dtype, unmasked_weight):
    prediction, target, mask = latents(shape, dtype=dtype)
    error = (prediction.float() - target.float()).square().reshape(3, 16, 6, 5).mean(1, keepdim=True)
    weight = mask.clamp(unmasked_weight, 1)
    expected = (weight * error).mean(dim=(1, 2, 3)) / weight.mean(dim=(1, 2, 3))
    torch.testing.assert_close(
        masked_diffusion_loss(prediction, target, mask, unmasked_weight=unmasked_weight), expected
    )


@pytest.mark.parametrize("normalize_area", [True, False])
@given(
    seed=st.integers(0, 10_000),
    junk=st.sampled_from([1e30, -3.0, float("nan"), float("inf"), -float("inf")]),
    five=st.booleans(),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_black_pixels_move_neither_loss_nor_gradient_by_one_bit(normalize_area, seed, junk, five):
    prediction, target, mask = latents(SHAPES[five], seed)
    black = (mask == 0).expand(3, 16, 6, 5).reshape(SHAPES[five])
    assert black.any()

    loss, gradient = loss_and_gradient(prediction, target, mask, normalize_area)
    changes = [(prediction.masked_fill(black, junk), target), (prediction, target.masked_fill(black, junk))]
    changes.append((prediction.masked_fill(black, junk), target.masked_fill(black, junk)))
    for changed_prediction, changed_target in changes:
        changed_loss, changed_gradient = loss_and_gradient(changed_prediction, changed_target, mask, normalize_area)
        assert torch.equal(loss, changed_loss)
        assert torch.equal(gradient, changed_gradient)
    assert loss.isfinite().all()
    assert not gradient[black].any()


def test_an_unmasked_weight_lets_black_pixels_count():
    prediction, target, mask = latents(SHAPES[0])
    _, gradient = loss_and_gradient(prediction, target, mask, True)
    prediction.requires_grad_()
    loss = masked_diffusion_loss(prediction, target, mask, unmasked_weight=0.1)
    black = (mask == 0).expand_as(gradient)
    assert torch.autograd.grad(loss.sum(), prediction)[0][black].all()


def test_a_white_mask_gives_the_plain_mean_squared_error():
    prediction, target, mask = latents(SHAPES[0])
    expected = (prediction - target).square().mean(dim=(1, 2, 3))
    torch.testing.assert_close(masked_diffusion_loss(prediction, target, torch.ones_like(mask)), expected)


def test_a_small_mask_trains_as_strongly_as_a_large_one():
    prediction, target, small, large = (
        torch.ones(1, 4, 8, 8),
        torch.zeros(1, 4, 8, 8),
        torch.zeros(1, 1, 8, 8),
        torch.ones(1, 1, 8, 8),
    )
    small[..., 0, 0] = 1
    assert masked_diffusion_loss(prediction, target, small) == masked_diffusion_loss(prediction, target, large) == 1
    assert masked_diffusion_loss(prediction, target, small, normalize_area=False) == 1 / 64


def test_grey_weighs_in_proportion():
    prediction, target, mask = torch.ones(1, 4, 2, 2), torch.zeros(1, 4, 2, 2), torch.full((1, 1, 2, 2), 127 / 255)
    torch.testing.assert_close(
        masked_diffusion_loss(prediction, target, mask, normalize_area=False), torch.tensor([127 / 255])
    )


def test_rows_do_not_mix_and_one_mask_serves_all_rows():
    prediction, target, mask = latents(SHAPES[0])
    together = masked_diffusion_loss(prediction, target, mask)
    alone = torch.cat(
        [masked_diffusion_loss(prediction[i : i + 1], target[i : i + 1], mask[i : i + 1]) for i in range(3)]
    )
    torch.testing.assert_close(together, alone)
    shared = masked_diffusion_loss(prediction, target, mask[:1])
    torch.testing.assert_close(shared, masked_diffusion_loss(prediction, target, mask[:1].repeat(3, 1, 1, 1)))


@pytest.mark.parametrize("normalize_area", [True, False])
def test_an_all_black_row_has_loss_zero_and_leaves_the_other_rows_alone(normalize_area):
    prediction, target, mask = latents(SHAPES[0])
    mask[1] = 0
    loss, gradient = loss_and_gradient(prediction, target, mask, normalize_area)
    assert loss[1] == 0
    assert not gradient[1].any()
    assert loss[[0, 2]].isfinite().all()
    assert loss[[0, 2]].all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype):
    prediction, target, mask = latents(SHAPES[0], dtype=dtype)
    assert torch.equal(
        masked_diffusion_loss(prediction * 300, target * 300, mask),
        masked_diffusion_loss((prediction * 300).float(), (target * 300).float(), mask),
    )


def test_inputs_are_not_changed():
    inputs = latents(SHAPES[0])
    copies = [tensor.clone() for tensor in inputs]
    masked_diffusion_loss(*inputs, unmasked_weight=0.2)
    prior_preservation_loss(*inputs, unmasked_weight=0.2)
    assert all(torch.equal(before, after) for before, after in zip(copies, inputs, strict=True))


@pytest.mark.parametrize("shape", SHAPES)
def test_prior_preservation_is_the_mean_error_weighted_by_what_the_mask_leaves(shape):
    prediction, base, mask = latents(shape)
    error = (prediction - base).square().reshape(3, 16, 6, 5).mean(1, keepdim=True)
    left = 1 - mask.clamp(0.1, 1)
    expected = (left * error).mean(dim=(1, 2, 3)) / left.mean(dim=(1, 2, 3))
    torch.testing.assert_close(prior_preservation_loss(prediction, base, mask, unmasked_weight=0.1), expected)


def test_prior_preservation_ignores_white_pixels_and_is_zero_for_a_white_mask():
    prediction, base, mask = latents(SHAPES[0])
    white = (mask == 1).expand_as(prediction)
    assert white.any()
    loss = prior_preservation_loss(prediction, base, mask)
    assert torch.equal(loss, prior_preservation_loss(prediction.masked_fill(white, float("nan")), base, mask))
    assert not prior_preservation_loss(prediction, base, torch.ones_like(mask)).any()


@pytest.mark.parametrize("loss", [masked_diffusion_loss, prior_preservation_loss])
@pytest.mark.parametrize("shape", [(16, 6, 5), (1, 1, 16, 1, 6, 5)])
def test_latents_that_are_neither_4d_nor_5d_are_refused(loss, shape):
    with pytest.raises(ValueError, match="^masked context training expects 4D or 5D reference latents$"):
        loss(torch.zeros(shape), torch.zeros(shape), torch.ones(1, 1, 6, 5))


def test_a_mask_of_another_size_is_refused_with_both_shapes():
    prediction, target, _ = latents(SHAPES[0])
    with pytest.raises(ValueError, match=r"\[3, 1, 48, 40\], expected \[3, 1, 6, 5\]"):
        masked_diffusion_loss(prediction, target, torch.ones(3, 1, 48, 40))


def test_a_target_of_another_shape_is_refused_instead_of_broadcast():
    prediction, target, mask = latents(SHAPES[0])
    with pytest.raises(ValueError, match=r"target has shape \[1, 16, 6, 5\], expected \[3, 16, 6, 5\]"):
        masked_diffusion_loss(prediction, target[:1], mask)
