"""A subject that is cut out stands where its placement says, and never with a cut edge in the open."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from anima_fast_train.masking.cut_paste import SCALES, Placement, can_be_cut_out, draw_placement, paste
from anima_fast_train.masking.framed import Framed, box_of_mask

RED, BLUE = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 1.0])


def subject(top: int, bottom: int, left: int, right: int, height: int = 96, width: int = 96) -> Framed:
    """A red rectangle, which the mask selects, on black."""
    mask = torch.zeros(height, width)
    mask[top:bottom, left:right] = 1
    return Framed(mask[..., None] * RED, mask)


def before_blue(framed: Framed, placement: Placement) -> Framed:
    return paste(framed, placement, BLUE.expand(*framed.mask.shape, 3))


def test_a_subject_that_stays_keeps_its_pixels_and_gets_the_background() -> None:
    framed = subject(20, 60, 30, 70)
    pasted = before_blue(framed, Placement())
    torch.testing.assert_close(pasted.mask, framed.mask, atol=1e-5, rtol=0)
    torch.testing.assert_close(pasted.image[30, 50], RED, atol=1e-5, rtol=0)
    torch.testing.assert_close(pasted.image[5, 5], BLUE, atol=1e-5, rtol=0)


def test_it_goes_where_the_placement_says() -> None:
    pasted = before_blue(subject(20, 60, 30, 70), Placement(scale=0.5, x=0.25, y=-0.125))
    box = box_of_mask(pasted.mask.gt(0.5).float())
    assert (box.left, box.top, box.width, box.height) == (64, 18, 20, 20)
    torch.testing.assert_close(pasted.image[28, 74], RED, atol=0.02, rtol=0)


def test_a_turn_keeps_the_centre_and_the_area() -> None:
    framed = subject(30, 66, 40, 56)
    pasted = before_blue(framed, Placement(turn=8))
    assert float(pasted.mask.sum()) == pytest.approx(float(framed.mask.sum()), rel=0.02)
    rows, columns = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    share = pasted.mask / pasted.mask.sum()
    assert float((share * rows).sum()) == pytest.approx(47.5, abs=0.2)
    assert float((share * columns).sum()) == pytest.approx(47.5, abs=0.2)
    upper = share * (rows < 40)
    assert float((upper * columns).sum() / upper.sum()) > 48  # clockwise: the top leans to the right


def test_an_attention_map_goes_where_the_picture_goes() -> None:
    framed = subject(20, 60, 30, 70)
    with_map = Framed(torch.cat([framed.image, framed.mask[..., None]], dim=-1), framed.mask)
    pasted = paste(with_map, Placement(scale=0.5, x=0.25), BLUE.expand(96, 96, 3))
    assert pasted.image.shape == (96, 96, 4)
    torch.testing.assert_close(pasted.image[40, 74, 3], torch.tensor(1.0), atol=0.02, rtol=0)
    assert float(pasted.image[..., 3][pasted.mask < 0.01].max()) < 0.01


def test_a_mask_that_leaves_no_background_cannot_be_cut_out() -> None:
    assert can_be_cut_out(subject(20, 60, 30, 70).mask)
    assert not can_be_cut_out(torch.ones(8, 8))
    assert not can_be_cut_out(torch.zeros(8, 8))


boxes = st.tuples(st.integers(0, 70), st.integers(10, 96), st.integers(0, 70), st.integers(10, 96)).map(
    lambda ends: (ends[0], min(96, ends[0] + ends[1]), ends[2], min(96, ends[2] + ends[3]))
)


@settings(max_examples=80, deadline=None)
@given(boxes, st.integers(0, 10_000))
@example((0, 10, 0, 85), 0)
def test_it_stays_in_the_picture_and_cut_sides_stay_at_the_sides(box: tuple[int, int, int, int], seed: int) -> None:
    top, bottom, left, right = box
    framed = subject(top, bottom, left, right)
    if not can_be_cut_out(framed.mask):
        return
    placement = draw_placement(framed.mask, torch.Generator().manual_seed(seed))
    spans = (top == 0 and bottom == 96) or (left == 0 and right == 96)
    assert SCALES[0] * 0.99 <= placement.scale <= SCALES[1] * 1.01
    mask = before_blue(framed, placement).mask
    assert float(mask.sum()) > 0.25 * placement.scale**2 * float(framed.mask.sum())
    new = box_of_mask(mask)
    margin = 2 + math.sin(math.radians(abs(placement.turn))) * 96
    # A strip that is cut off at two sides that meet turns with its far end out of the picture.
    meeting = (bottom == 96 or top == 0) and (left == 0 or right == 96)
    at = 1 + (math.sin(math.radians(abs(placement.turn))) * 96 if meeting else 0)
    if bottom == 96:
        assert new.top + new.height >= 96 - at
    if top == 0:
        assert new.top <= at
    if left == 0:
        assert new.left <= at
    if right == 96:
        assert new.left + new.width >= 96 - at
    if spans:
        assert placement.turn == 0
    if top > 0 and bottom < 96:  # free on both sides: nearly all of it is seen
        assert new.height >= 0.85 * placement.scale * (bottom - top) - margin


def test_the_same_seed_puts_it_at_the_same_place() -> None:
    mask = subject(20, 96, 30, 70).mask
    first, second = (draw_placement(mask, torch.Generator().manual_seed(3)) for _ in range(2))
    assert first == second
    assert draw_placement(mask, torch.Generator().manual_seed(4)) != first
