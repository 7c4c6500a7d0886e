"""That shaping a mask does to its pixels what its words say."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from anima_fast_train.masking import MaskShape, shape_mask
from anima_fast_train.masking.shape import drop_specks, feather, fill_holes, grow, shrink

unhurried = settings(deadline=None, max_examples=50)
small = st.tuples(st.integers(1, 24), st.integers(1, 24))


def random_mask(size: tuple[int, int], seed: int, *, binary: bool) -> torch.Tensor:
    mask = torch.rand((1, *size), generator=torch.Generator().manual_seed(seed))
    return (mask > 0.8).float() if binary else mask


def dot(size: int = 41) -> torch.Tensor:
    mask = torch.zeros(1, size, size)
    mask[0, size // 2, size // 2] = 1
    return mask


@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_growing_a_dot_gives_a_true_disc_of_its_weight(weight: float) -> None:
    y, x = torch.meshgrid(torch.arange(-20, 21), torch.arange(-20, 21), indexing="ij")
    disc = (x * x + y * y <= 100).float() * weight
    assert torch.equal(grow(dot() * weight, 10)[0], disc)


@given(size=small, radius=st.integers(0, 30), seed=st.integers(0, 99), binary=st.booleans())
@unhurried
def test_growing_equals_the_definition_of_dilation(size: tuple[int, int], radius: int, seed: int, binary: bool) -> None:
    mask = random_mask(size, seed, binary=binary)
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    expected = ndimage.grey_dilation(
        mask[0].numpy(), footprint=x * x + y * y <= radius * radius, mode="constant", cval=0
    )
    assert torch.equal(grow(mask, radius)[0], torch.from_numpy(expected))


def test_shrinking_undoes_growing_of_a_disc() -> None:
    disc = grow(dot(61), 12)
    assert torch.equal(shrink(grow(disc, 7), 7), disc)


def test_shrinking_does_not_eat_a_subject_from_the_frame() -> None:
    mask = torch.zeros(1, 20, 20)
    mask[:, 10:] = 1
    expected = torch.zeros(1, 20, 20)
    expected[:, 13:] = 1
    assert torch.equal(shrink(mask, 3), expected)


def test_feather_is_a_gaussian_step() -> None:
    mask = torch.zeros(1, 64, 64)
    mask[:, :, 32:] = 1
    soft = feather(mask, 4.0)[0, 10]
    expected = torch.distributions.Normal(0.0, 4.0).cdf(torch.arange(64) - 31.5)
    torch.testing.assert_close(soft, expected, atol=0.01, rtol=0)
    assert float(soft[-1]) == pytest.approx(1, abs=1e-5)


def test_feather_wider_than_the_picture_does_not_crash() -> None:
    torch.testing.assert_close(feather(torch.ones(2, 3, 5), 40.0), torch.ones(2, 3, 5))


def test_holes_are_filled_and_open_bays_are_not() -> None:
    mask = torch.zeros(1, 12, 12)
    mask[:, 2:10, 2:10] = 1
    mask[:, 4:6, 4:6] = 0.2
    mask[:, 7, 7:] = 0
    filled = fill_holes(mask)
    assert torch.equal(filled[:, 4:6, 4:6], torch.ones(1, 2, 2))
    assert torch.equal(filled[:, 7, 7:], torch.zeros(1, 5))


def test_specks_are_dropped_and_diagonal_strands_are_kept() -> None:
    mask = torch.zeros(1, 20, 20)
    mask[0, range(8), range(8)] = 0.6  # a strand of eight pixels that touch at their corners
    mask[0, 15, 15:18] = 1
    kept = drop_specks(mask, 8)
    assert torch.equal(kept[0, :8, :8], mask[0, :8, :8])
    assert float(kept[0, 15].max()) == 0


def test_defaults_change_nothing() -> None:
    mask = torch.rand(2, 9, 7)
    assert torch.equal(shape_mask(mask, MaskShape()), mask)


def test_the_steps_run_in_the_documented_order() -> None:
    mask = 1 - grow(dot(), 6) * 0.7  # a dark gray disc on white, of which the rest is to be learned after inversion
    mask[0, 0, 0] = 0  # after inversion a speck
    shaped = shape_mask(mask, MaskShape(invert=True, threshold=0.5, smallest_speck=4, grow=-6, floor=0.1))
    assert torch.equal(shaped, dot().clamp(min=0.1))


shapes = st.builds(
    MaskShape,
    invert=st.booleans(),
    threshold=st.floats(0, 1),
    smallest_speck=st.integers(0, 50),
    fill_holes=st.booleans(),
    grow=st.integers(-40, 40),
    feather=st.floats(0, 10),
    floor=st.floats(0, 1),
)


@given(size=small, seed=st.integers(0, 99), binary=st.booleans(), shape=shapes)
@unhurried
def test_any_shape_of_any_mask_stays_a_mask(size: tuple[int, int], seed: int, binary: bool, shape: MaskShape) -> None:
    mask = random_mask(size, seed, binary=binary)
    before = mask.clone()
    shaped = shape_mask(mask, shape)
    assert shaped.shape == mask.shape
    assert shape.floor - 1e-6 <= float(shaped.min()) <= float(shaped.max()) <= 1
    assert torch.equal(mask, before)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"threshold": 1.5}, r"threshold is 1.5, expected 0 \(off\) to 1"),
        ({"smallest_speck": -1}, "smallest_speck is -1, expected 0 or more"),
        ({"feather": float("nan")}, "feather is nan, expected 0 to 256"),
        ({"floor": -0.1}, "floor is -0.1, expected 0 to 1"),
    ],
)
def test_senseless_numbers_are_refused(options: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        MaskShape(**options)
