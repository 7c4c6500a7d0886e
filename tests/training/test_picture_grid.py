"""The labelled grid: pictures stand where their labels say, and labels can be read."""

from __future__ import annotations

import numpy
import pytest
from PIL import Image, ImageFont

from anima_fast_train.training.reports.image_grid import (
    GAP,
    LARGEST_SIDE,
    MARGIN,
    PAPER,
    GridRow,
    labelled_grid,
    widest_cell,
    wrapped,
)

COLOURS = [[(200, 0, 0), (0, 200, 0)], [(0, 0, 200), (200, 200, 0)]]
SIZE = (96, 64)


def grid(labels: tuple[str, str] = ("first", "second"), columns: tuple[str, ...] = (), **options: int) -> numpy.ndarray:
    rows = [
        GridRow(label, [Image.new("RGB", SIZE, colour) for colour in colours])
        for label, colours in zip(labels, COLOURS, strict=True)
    ]
    return numpy.asarray(labelled_grid(rows, columns, **options))


def places(sheet: numpy.ndarray, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """left, top, right, bottom of a colour."""
    down, across = numpy.nonzero((sheet == colour).all(-1))
    return across.min(), down.min(), across.max() + 1, down.max() + 1


def test_each_picture_stands_in_its_row_and_column_at_its_size() -> None:
    sheet = grid()
    boxes = [[places(sheet, colour) for colour in row] for row in COLOURS]
    for row in boxes:
        for left, top, right, bottom in row:
            assert (right - left, bottom - top) == SIZE
        assert row[0][1] == row[1][1]
        assert row[1][0] == row[0][2] + GAP
    assert boxes[0][0][0] == boxes[1][0][0] == MARGIN
    assert boxes[1][0][1] > boxes[0][0][3]


def test_cells_take_the_width_that_is_asked_for() -> None:
    left, top, right, bottom = places(grid(cell_width=192), COLOURS[0][0])
    assert (right - left, bottom - top) == (192, 128)


def test_labels_stand_above_their_pictures_and_columns_above_all() -> None:
    bare, named = grid(("", "second")), grid(("", "second"), ("with", "without"))
    assert len(named) > len(bare)
    top = places(named, COLOURS[0][0])[1]
    across = numpy.nonzero((named[MARGIN:top] != PAPER).any((0, 2)))[0]
    second = MARGIN + SIZE[0] + GAP
    assert (across < MARGIN + SIZE[0]).any() and (across >= second).any()
    above_second_row = named[places(named, COLOURS[0][0])[3] : places(named, COLOURS[1][0])[1]]
    assert (above_second_row != PAPER).any()


def test_a_long_prompt_is_wrapped_and_stays_on_the_sheet() -> None:
    prompt = ", ".join(["1girl, solo, sitting in a cafe, reading a book"] * 4)
    sheet = grid((prompt, "second"))
    assert sheet.shape[1] == grid().shape[1]
    assert places(sheet, COLOURS[0][0])[1] > places(grid(), COLOURS[0][0])[1] + 60
    assert (sheet[:, -MARGIN:] == PAPER).all()


@pytest.mark.parametrize(
    "text", ["one two three", "a_tag_without_any_space_in_it_that_is_far_too_long", "two\nlines of text", "x"]
)
def test_no_wrapped_line_is_wider_than_asked_and_no_letter_is_lost(text: str) -> None:
    font = ImageFont.load_default(size=15)
    lines = wrapped(text, font, 80)
    assert all(font.getlength(line) <= 80 for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_a_large_comparison_is_scaled_down() -> None:
    assert widest_cell((1024, 1024), 2, 3) == 1024
    for rows, columns in ((12, 3), (2, 36), (40, 36)):
        width = widest_cell((1024, 1536), rows, columns)
        assert columns * (width + GAP) <= LARGEST_SIDE
        assert rows * width * 1.5 <= LARGEST_SIDE
