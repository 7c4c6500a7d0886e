"""That picture and mask stay one through every framing: a marker in the picture is where the mask says."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anima_fast_train.masking import (
    Box,
    Framed,
    box_of_mask,
    crop_to_aspect,
    crop_to_mask,
    flip,
    letterbox,
    resize_image,
    resize_mask,
)

unhurried = settings(deadline=None, max_examples=80)


def marked(width: int, height: int, box: Box) -> Framed:
    """A black picture with a white marker, and a mask of the marker."""
    mask = torch.zeros(height, width)
    mask[box.rows, box.columns] = 1
    return Framed(mask.unsqueeze(-1).repeat(1, 1, 3), mask)


@st.composite
def marked_pictures(draw: st.DrawFn) -> Framed:
    width, height = draw(st.integers(1, 120)), draw(st.integers(1, 120))
    marker_width, marker_height = draw(st.integers(1, width)), draw(st.integers(1, height))
    left, top = draw(st.integers(0, width - marker_width)), draw(st.integers(0, height - marker_height))
    return marked(width, height, Box(left, top, marker_width, marker_height))


@given(framed=marked_pictures(), margin=st.floats(0, 2), aspect=st.floats(0.1, 10))
@unhurried
def test_the_marker_stays_under_its_mask(framed: Framed, margin: float, aspect: float) -> None:
    for turned in (
        crop_to_mask(framed, margin),
        letterbox(framed, aspect, colour=0.0),
        crop_to_aspect(framed, aspect),
        flip(framed),
    ):
        assert turned.image.shape[:2] == turned.mask.shape
        assert torch.equal(turned.image[..., 1], turned.mask)
    assert torch.equal(crop_to_mask(framed, margin).mask.sum(), framed.mask.sum())
    assert torch.equal(letterbox(framed, aspect).mask.sum(), framed.mask.sum())


def test_a_crop_keeps_a_margin_inside_the_picture() -> None:
    framed = marked(100, 80, Box(left=5, top=30, width=40, height=20))
    assert box_of_mask(framed.mask) == Box(5, 30, 40, 20)
    assert box_of_mask(framed.mask, margin=0.25) == Box(0, 20, 55, 40)


def test_faint_noise_does_not_widen_a_crop() -> None:
    framed = marked(100, 80, Box(5, 30, 40, 20))
    assert box_of_mask(framed.mask.clamp(min=0.02)) == Box(5, 30, 40, 20)


def test_a_crop_to_an_empty_mask_is_refused() -> None:
    with pytest.raises(ValueError, match="selects nothing"):
        box_of_mask(torch.zeros(8, 8))


def test_letterbox_padding_weighs_nothing_and_is_gray() -> None:
    image, mask = letterbox(Framed(torch.ones(10, 30, 3), torch.ones(10, 30)), 1.0)
    assert image.shape == (30, 30, 3)
    assert torch.equal(image[:10], torch.full((10, 30, 3), 0.5))
    assert mask[10:20].min() == 1
    assert mask[:10].max() == 0
    assert mask[20:].max() == 0


def test_flip_is_its_own_inverse_and_mirrors_left_and_right() -> None:
    framed = Framed(torch.rand(4, 6, 3), torch.rand(4, 6))
    assert torch.equal(flip(framed).mask[:, 0], framed.mask[:, 5])
    assert torch.equal(flip(flip(framed)).image, framed.image)


def test_a_reduced_picture_is_antialiased() -> None:
    noise = torch.rand(512, 512, 3, generator=torch.Generator().manual_seed(0))
    reduced = resize_image(noise, 64, 64)
    assert float(reduced.mean()) == pytest.approx(0.5, abs=0.01)
    assert float(reduced.std()) < float(noise.std()) / 5  # without antialiasing about three quarters remain


@given(size=st.tuples(st.integers(1, 60), st.integers(1, 60)), target=st.tuples(st.integers(1, 60), st.integers(1, 60)))
@unhurried
def test_resizing_stays_from_0_to_1(size: tuple[int, int], target: tuple[int, int]) -> None:
    noise = (torch.rand(*size, 3, generator=torch.Generator().manual_seed(1)) > 0.5).float()
    image, mask = resize_image(noise, *target), resize_mask(noise[..., 0], *target)
    assert image.shape == (target[1], target[0], 3)
    assert mask.shape == (target[1], target[0])
    assert 0 <= float(image.min()) <= float(image.max()) <= 1
    assert 0 <= float(mask.min()) <= float(mask.max()) <= 1
