"""That a collage shows every reference once and undistorted, with the mask exactly on it."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anima_fast_train.masking import Box, CollageLayout, compose_collage
from anima_fast_train.masking.collage import parse_colour, place_references

PORTRAIT, LANDSCAPE, SQUARE = (600, 1000), (1000, 600), (512, 512)
BACKGROUND = torch.tensor([0x18 / 255] * 3)


def flat(size: tuple[int, int], red: float) -> torch.Tensor:
    width, height = size
    image = torch.zeros(height, width, 3)
    image[..., 0] = red
    return image


def overlap(one: Box, other: Box) -> bool:
    return (
        one.left < other.left + other.width
        and other.left < one.left + one.width
        and one.top < other.top + other.height
        and other.top < one.top + one.height
    )


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_every_reference_is_shown_once_with_its_mask_exactly_on_it(count: int) -> None:
    sizes = list(itertools.islice(itertools.cycle([PORTRAIT, LANDSCAPE, SQUARE, (300, 1200)]), count))
    images = [flat(size, (number + 1) / 10) for number, size in enumerate(sizes)]
    image, mask, places = compose_collage(images, [None] * count)
    assert image.shape == (1024, 1024, 3)
    assert mask.shape == (1024, 1024)
    background = (image - BACKGROUND).abs().amax(dim=-1) < 1e-6
    assert torch.equal(mask, (~background).float())
    for number, (size, place) in enumerate(zip(sizes, places, strict=True)):
        shown = (image[..., 0] - (number + 1) / 10).abs() < 1e-4
        assert int(shown.sum()) == place.width * place.height
        assert bool(shown[place.rows, place.columns].all())
        assert abs(place.width - place.height * size[0] / size[1]) <= 1


def ruled(size: tuple[int, int], number: int) -> torch.Tensor:
    """Red rises from left to right and green downwards, both from 0 to 1; blue is the number."""
    width, height = size
    image = torch.full((height, width, 3), number / 10)
    image[..., 0] = ((torch.arange(width) + 0.5) / width)[None, :]
    image[..., 1] = ((torch.arange(height) + 0.5) / height)[:, None]
    return image


@pytest.mark.parametrize("count", [2, 3, 4, 7])
def test_every_reference_is_shown_whole_upright_and_undistorted_under_its_own_mask(count: int) -> None:
    sizes = list(itertools.islice(itertools.cycle([PORTRAIT, LANDSCAPE, SQUARE, (300, 1200)]), count))
    images = [ruled(size, number + 1) for number, size in enumerate(sizes)]
    masks = [(image[..., 0] + image[..., 1] < 1).float() for image in images]  # the upper left half
    collage = compose_collage(images, masks)
    outside = torch.ones(1024, 1024, dtype=torch.bool)
    for number, place in enumerate(collage.places):
        cell, weights = collage.image[place.rows, place.columns], collage.mask[place.rows, place.columns]
        # Of the same ruling at the size of the cell, one pixel off at most.
        expected = ruled((place.width, place.height), number + 1)
        assert float((cell - expected)[..., 0].abs().max()) < 1 / place.width
        assert float((cell - expected)[..., 1].abs().max()) < 1 / place.height
        assert float((cell - expected)[..., 2].abs().max()) < 1e-5
        clear = (expected[..., 0] + expected[..., 1] - 1).abs() > 2 / min(place.width, place.height)
        torch.testing.assert_close(weights[clear], (expected[..., 0] + expected[..., 1] < 1).float()[clear])
        assert outside[place.rows, place.columns].all()
        outside[place.rows, place.columns] = False
    assert float(collage.mask[outside].max()) == 0
    torch.testing.assert_close(collage.image[outside], BACKGROUND.expand(int(outside.sum()), 3))


def test_each_cell_keeps_its_own_mask() -> None:
    mask = torch.zeros(100, 100)
    mask[:, 50:] = 0.5
    collage = compose_collage(
        [torch.rand(100, 100, 3), torch.rand(50, 50, 3)], [mask, None], CollageLayout(width=216, height=116, gutter=8)
    )
    first, second = collage.places
    cell = collage.mask[first.rows, first.columns]
    assert torch.equal(cell[:, : first.width // 2 - 2], torch.zeros(first.height, first.width // 2 - 2))
    right = cell[:, first.width // 2 + 2 :]
    torch.testing.assert_close(right, torch.full_like(right, 0.5))
    assert float(collage.mask[second.rows, second.columns].min()) == 1
    assert float(collage.mask.sum()) == pytest.approx(float(cell.sum()) + second.width * second.height)


def test_portraits_stand_side_by_side_and_landscapes_on_top_of_each_other() -> None:
    left, right = place_references([PORTRAIT] * 2, CollageLayout())
    assert left.top == right.top
    upper, lower = place_references([LANDSCAPE] * 2, CollageLayout())
    assert upper.left == lower.left


def test_chosen_rows_and_columns_are_kept() -> None:
    places = place_references([SQUARE] * 6, CollageLayout(columns=2))
    assert len({place.left for place in places}) == 2
    assert len({place.top for place in places}) == 3
    places = place_references([SQUARE] * 6, CollageLayout(rows=2))
    assert len({place.top for place in places}) == 2


sizes = st.lists(st.tuples(st.integers(1, 400), st.integers(1, 400)), min_size=1, max_size=12)


@given(sizes=sizes, frame=st.tuples(st.integers(1, 1200), st.integers(1, 1200)), gutter=st.integers(0, 60))
@settings(deadline=None, max_examples=150)
def test_places_lie_apart_inside_the_frame(sizes: list[tuple[int, int]], frame: tuple[int, int], gutter: int) -> None:
    layout = CollageLayout(width=frame[0], height=frame[1], gutter=gutter)
    smallest_row = gutter * (len(sizes) + 1) + 8 * len(sizes)
    if frame[0] < smallest_row or frame[1] < smallest_row:
        # The room may be too small; a very elongated reference still gets its one pixel.
        try:
            places = place_references(sizes, layout)
        except ValueError:
            return
    else:
        places = place_references(sizes, layout)
    assert len(places) == len(sizes)
    for place in places:
        assert place.width > 0
        assert place.height > 0
        assert gutter <= place.left <= place.left + place.width <= frame[0] - gutter
        assert gutter <= place.top <= place.top + place.height <= frame[1] - gutter
    assert not any(overlap(one, other) for one, other in itertools.combinations(places, 2))


@pytest.mark.parametrize(
    ("count", "layout", "sentence"),
    [
        (0, CollageLayout(), "at least one reference"),
        (5, CollageLayout(rows=2, columns=2), "2 rows and 2 columns has no room for 5 references"),
        (4, CollageLayout(width=40, height=40), "40x40 pixels with gutters of 16 is too small for 4 references"),
    ],
)
def test_what_does_not_fit_is_refused(count: int, layout: CollageLayout, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        compose_collage([torch.rand(50, 50, 3)] * count, [None] * count, layout)


@pytest.mark.parametrize(
    "options", [{"width": 0}, {"rows": -1}, {"gutter": -1}, {"background": "dark"}, {"background": "#12345"}]
)
def test_a_senseless_layout_is_refused(options: dict[str, int | str]) -> None:
    with pytest.raises(ValueError, match="expected"):
        CollageLayout(**options)


def test_colours_are_read_as_written_on_the_web() -> None:
    assert parse_colour("#ff0080") == (1.0, 0.0, 128 / 255)
    assert parse_colour("fff") == (1.0, 1.0, 1.0)
