"""Pictures that are black, or of one colour, exactly where their mask selects them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from anima_fast_train.masking.painted import flat_area, refuse_flat_area, refuse_unpainted, restore_colours

SIDE = 64


def picture(seed: int = 0, side: int = SIDE) -> Tensor:
    """[H,W,3] uint8 without a black pixel."""
    return torch.randint(1, 256, (side, side, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def disc(side: int = SIDE, radius: float = 0.3, softness: float = 0.0) -> Tensor:
    """[H,W] in 0..1, white in the middle, with an edge so many pixels wide."""
    line = torch.arange(side) + 0.5 - side / 2
    distance = radius * side - torch.hypot(line[:, None], line[None, :])
    return (distance > 0).float() if softness == 0 else (distance / softness + 0.5).clamp(0, 1)


def alpha_of(mask: Tensor) -> Tensor:
    return ((1 - mask) * 255).round().to(torch.uint8)


def through_a_canvas(rgb: Tensor, alpha: Tensor) -> Tensor:
    """What is left of the colours when they are kept multiplied by alpha, as a canvas keeps them."""
    weight = alpha.unsqueeze(-1).float() / 255
    kept = (rgb.float() * weight).round()
    return torch.where(weight > 0, (kept / weight).round().clamp(0, 255), torch.zeros(())).to(torch.uint8)


@pytest.mark.parametrize("softness", [0.0, 12.0])
def test_colours_come_back_under_the_paint_and_nowhere_else(softness: float):
    rgb, alpha = picture(), alpha_of(disc(softness=softness))
    broken = through_a_canvas(rgb, alpha)
    assert (broken[alpha == 0] == 0).all() and (alpha == 0).any()
    restored = restore_colours(broken, alpha, rgb)
    assert restored is not None and torch.equal(restored, rgb)
    floats = restore_colours(broken / 255, alpha / 255, rgb / 255)
    assert floats is not None and torch.equal(floats, rgb / 255)


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**31), alpha=st.integers(0, 255))
def test_whatever_the_alpha_the_colours_come_back(seed: int, alpha: int):
    rgb = picture(seed, side=8)
    weights = torch.full((8, 8), 255, dtype=torch.uint8)
    weights[2:5, 1:7] = alpha
    restored = restore_colours(through_a_canvas(rgb, weights), weights, rgb)
    assert restored is None if alpha == 255 else restored is None or torch.equal(restored, rgb)
    assert restored is not None or torch.equal(through_a_canvas(rgb, weights), rgb)


def test_a_sound_picture_stays_as_it_is():
    alpha = alpha_of(disc())
    assert restore_colours(picture(), alpha, picture()) is None
    black = picture()
    black[alpha == 0] = 0
    assert restore_colours(black, alpha, black) is None, "black in the copy too: it is black"


def test_another_picture_gives_no_colours():
    rgb, alpha = picture(), alpha_of(disc())
    broken = through_a_canvas(rgb, alpha)
    assert restore_colours(broken, alpha, picture(seed=1)) is None
    assert restore_colours(broken, alpha, rgb[:-1]) is None
    one_pixel_off = rgb.clone()
    one_pixel_off[0, 0] ^= 8
    assert restore_colours(broken, alpha, one_pixel_off) is None


def test_colours_of_its_own_under_the_paint_are_kept():
    rgb, alpha = picture(), alpha_of(disc())
    assert restore_colours(picture(seed=1).where((alpha == 0).unsqueeze(-1), rgb), alpha, rgb) is None


def test_where_the_copy_may_differ_nothing_is_taken_from_it():
    rgb, alpha = picture(), alpha_of(disc())
    broken, painted_over = through_a_canvas(rgb, alpha), rgb.clone()
    painted_over[:, 30:34] = 77
    strokes = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    strokes[:, 30:34] = True
    assert restore_colours(broken, alpha, painted_over) is None
    restored = restore_colours(broken, alpha, painted_over, strokes)
    assert restored is not None
    assert torch.equal(restored[~strokes], rgb[~strokes])
    assert torch.equal(restored[strokes], broken[strokes])


def black_under(mask: Tensor, side: int = SIDE) -> Tensor:
    """[H,W,3] in 0..1 as the mask editor left it."""
    alpha = alpha_of(mask)
    return through_a_canvas(picture(side=side), alpha) / 255


@pytest.mark.parametrize("softness", [0.0, 1.5, 12.0])
def test_black_exactly_under_the_mask_is_refused(softness: float):
    mask = disc(softness=softness)
    assert flat_area(black_under(mask), mask) == "painted"
    with pytest.raises(ValueError, match="the picture of 'cat' is black wherever its mask selects it"):
        refuse_flat_area(black_under(mask), mask, "cat")


def test_it_is_refused_at_another_size_than_it_was_painted_in():
    mask = disc(256)
    image = black_under(mask, 256)
    small = torch.nn.functional.interpolate(image.permute(2, 0, 1)[None], size=(128, 128), mode="bilinear")
    small_mask = torch.nn.functional.interpolate(mask[None, None], size=(128, 128), mode="bilinear")
    assert flat_area(small[0].permute(1, 2, 0), small_mask[0, 0]) == "painted"
    assert flat_area(small[0].permute(1, 2, 0), mask) == "painted", "the mask kept its size"


def black_cat(radius: float) -> Tensor:
    """[H,W,3], pure black in the middle of a light picture."""
    return (picture(side=256) / 255 * 0.5 + 0.5) * (1 - disc(256, radius).unsqueeze(-1))


@pytest.mark.parametrize("radius", [0.2, 0.27, 0.33, 0.4])
def test_a_really_black_cat_is_learned(radius: float):
    """However it is painted: inside of its edge, or over it."""
    assert flat_area(black_cat(0.3), disc(256, radius)) is None
    refuse_flat_area(black_cat(0.3), disc(256, radius), "cat")


def test_a_dark_cat_in_its_outline_is_learned():
    mask = disc()
    assert flat_area(black_under(mask) + 1 / 255, mask) is None


def test_sound_pictures_flat_pictures_and_tiny_masks_are_learned():
    mask = disc()
    assert flat_area(picture() / 255, mask) is None
    assert flat_area(torch.zeros(SIDE, SIDE, 3), mask) is None
    assert flat_area(torch.full((SIDE, SIDE, 3), 0.4), mask) is None
    assert flat_area(torch.zeros(SIDE, SIDE, 3), torch.ones(SIDE, SIDE)) is None
    assert flat_area(black_under(disc(radius=0.05)), disc(radius=0.05)) is None
    assert flat_area(picture() / 255, torch.full((SIDE, SIDE), 0.5)) is None


def test_a_flat_shape_in_the_picture_is_learned():
    image, mask = picture() / 255, disc()
    image[mask > 0] = torch.tensor([0.8, 0.1, 0.1])
    assert flat_area(image, mask) is None


@pytest.mark.parametrize("colour", [0.0, 0.5, 1.0])
def test_the_background_of_a_cut_out_is_refused(colour: float):
    background = 1 - disc()
    image = picture() / 255
    image[background > 0] = colour
    assert flat_area(image, background) == "cut-out"
    assert flat_area(image, 1 - background) is None
    with pytest.raises(ValueError, match="looks like a cut-out: choose 'inverted mask'"):
        refuse_flat_area(image, background, "cat")


def test_a_flat_half_of_the_picture_is_learned():
    image, mask = picture() / 255, torch.zeros(SIDE, SIDE)
    mask[:, : SIDE // 2] = 1
    image[mask > 0] = 1
    assert flat_area(image, mask) is None


def test_a_background_that_shows_something_is_learned():
    assert flat_area(picture() / 255, 1 - disc()) is None


@pytest.mark.parametrize("mask", [torch.zeros(1, 64, 64), torch.full((8, 8), 1e-3), torch.zeros(2, 4, 4).byte()])
def test_an_unpainted_mask_is_said_to_be_that(mask: Tensor):
    with pytest.raises(ValueError, match="no mask is painted yet: right-click Load Image, choose Open in MaskEditor"):
        refuse_unpainted(mask, "reference")


def test_painted_and_broken_masks_are_not_said_to_be_unpainted():
    for mask in (disc(), torch.ones(4, 4).byte(), torch.full((4, 4), torch.nan), torch.zeros(1, 0, 4)):
        refuse_unpainted(mask, "reference")


def test_every_sentence_is_short_enough_to_read():
    mask, background = disc(), 1 - disc()
    cut_out = picture() / 255
    cut_out[background > 0] = 1
    for refused in (
        lambda: refuse_flat_area(black_under(mask), mask, "reference 12"),
        lambda: refuse_flat_area(cut_out, background, "reference 12"),
        lambda: refuse_unpainted(torch.zeros(64, 64), "reference 12"),
    ):
        with pytest.raises(ValueError) as caught:  # noqa: PT011 the length is what counts
            refused()
        assert len(str(caught.value)) <= 300
