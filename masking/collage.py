"""Several references in one frame, because one latent that holds them all costs one step instead of many."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..declared import ARTIST, check, setting
from .framed import Box, resize_image, resize_mask

# Below this a cell is smaller than one latent cell of an 8x codec and carries nothing.
_SMALLEST_CELL = 8


TOPIC = "Collage"


@dataclass(frozen=True)
class CollageLayout:
    """The frame of a collage; rows and columns are chosen to show the references as large as possible where they are
    0."""

    width: int = setting(
        1024,
        help="Of the frame, in pixels.",
        topic=TOPIC,
        audience=ARTIST,
        least=1,
        most=16_384,
        widget_least=64,
        widget_most=8192,
        step=16,
        unit="pixels",
    )
    height: int = setting(
        1024,
        help="Of the frame, in pixels.",
        topic=TOPIC,
        audience=ARTIST,
        least=1,
        most=16_384,
        widget_least=64,
        widget_most=8192,
        step=16,
        unit="pixels",
    )
    rows: int = setting(
        0,
        help="Rows of cells. 0 chooses what shows the pictures largest: portraits side by side, landscapes on top of "
        "each other.",
        topic=TOPIC,
        least=0,
        most=64,
    )
    columns: int = setting(0, help="Columns of cells; 0 chooses as for rows.", topic=TOPIC, least=0, most=64)
    gutter: int = setting(
        16,
        help="Pixels between the cells and around them; never learned.",
        topic=TOPIC,
        audience=ARTIST,
        least=0,
        most=512,
        unit="pixels",
    )
    background: str = setting("#181818", help="Colour of gutters and free parts, as #rrggbb.", topic=TOPIC, longest=100)

    def __post_init__(self) -> None:
        check(self)
        parse_colour(self.background)


class Collage(NamedTuple):
    """image [H,W,3], mask [H,W], and where each reference lies in them."""

    image: Tensor
    mask: Tensor
    places: list[Box]


def parse_colour(text: str) -> tuple[float, float, float]:
    """RGB in 0..1 of a colour written #rrggbb or #rgb."""
    digits = text.strip().removeprefix("#")
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    try:
        if len(digits) != 6:
            raise ValueError
        red, green, blue = bytes.fromhex(digits)
    except ValueError:
        raise ValueError(f"colour is {text!r}, expected six hexadecimal digits such as #181818") from None
    return red / 255, green / 255, blue / 255


def compose_collage(
    images: Sequence[Tensor], masks: Sequence[Tensor | None], layout: CollageLayout | None = None
) -> Collage:
    """Put references into one frame, row by row, each scaled to its cell in its own aspect and centred.

    images: [H,W,3] each; masks: [H,W] of its picture's aspect each, or None where the whole picture is learned.
    The mask of the collage is 0 in gutters and background and holds each reference's own mask on its pixels.
    Raises ValueError where the references do not fit.
    """
    layout = layout or CollageLayout()
    if not images:
        raise ValueError("a collage needs at least one reference")
    places = place_references([(image.shape[1], image.shape[0]) for image in images], layout)
    frame = torch.tensor(parse_colour(layout.background), dtype=images[0].dtype, device=images[0].device)
    frame = frame.repeat(layout.height, layout.width, 1)
    weights = torch.zeros(layout.height, layout.width, dtype=torch.float32, device=images[0].device)
    for image, mask, place in zip(images, masks, places, strict=True):
        frame[place.rows, place.columns] = resize_image(image[..., :3], place.width, place.height).to(frame)
        weights[place.rows, place.columns] = (
            1.0 if mask is None else resize_mask(mask, place.width, place.height).to(weights)
        )
    return Collage(frame, weights, places)


def place_references(sizes: Sequence[tuple[int, int]], layout: CollageLayout) -> list[Box]:
    """Where references of the given (width, height) lie in the frame.

    Of all grids that the layout allows, the one that shows most reference pixels; on a tie the one with more columns.
    So portraits come to stand side by side and landscapes on top of each other. Cells of a last row that is not full
    are wider.
    """
    count = len(sizes)
    best: list[Box] = []
    for columns in range(min(count, layout.columns or count), 0, -1):
        if layout.columns and columns < min(layout.columns, count):
            break
        rows = layout.rows or math.ceil(count / columns)
        if rows * columns < count:
            continue
        places = [_fit(size, cell) for size, cell in zip(sizes, _cells(count, rows, columns, layout), strict=True)]
        # An overfull frame has cells without room, which _fit leaves empty.
        if min(min(place.width, place.height) for place in places) > 0 and _shown_pixels(places) > _shown_pixels(best):
            best = places
    if best:
        return best
    if layout.rows and layout.columns and layout.rows * layout.columns < count:
        raise ValueError(
            f"a collage of {layout.rows} rows and {layout.columns} columns has no room for {count} references"
        )
    raise ValueError(
        f"a collage frame of {layout.width}x{layout.height} pixels with gutters of {layout.gutter} is too small for "
        f"{count} references, expected cells of at least {_SMALLEST_CELL} pixels a side"
    )


def _cells(count: int, rows: int, columns: int, layout: CollageLayout) -> list[Box]:
    """The grid's cells in reading order; rows that stay empty leave their place to the others."""
    rows = min(rows, math.ceil(count / columns))
    cells = []
    for row, (top, height) in enumerate(_divide(layout.height, rows, layout.gutter)):
        in_row = min(columns, count - row * columns)
        cells += [Box(left, top, width, height) for left, width in _divide(layout.width, in_row, layout.gutter)]
    return cells


def _divide(length: int, parts: int, gutter: int) -> list[tuple[int, int]]:
    """(start, length) of equal parts with gutters between and around; lengths differ by at most one pixel."""
    room = max(0, length - gutter * (parts + 1))
    edges = [room * part // parts for part in range(parts + 1)]
    return [(gutter * (part + 1) + edges[part], edges[part + 1] - edges[part]) for part in range(parts)]


def _fit(size: tuple[int, int], cell: Box) -> Box:
    """The largest box of the size's aspect in the middle of the cell, to the nearest pixel; empty where the cell has no
    room."""
    if min(cell.width, cell.height) < _SMALLEST_CELL:
        return Box(cell.left, cell.top, 0, 0)
    width, height = size
    scale = min(cell.width / width, cell.height / height)
    width, height = max(1, round(width * scale)), max(1, round(height * scale))
    return Box(cell.left + (cell.width - width) // 2, cell.top + (cell.height - height) // 2, width, height)


def _shown_pixels(places: Sequence[Box]) -> int:
    return sum(place.width * place.height for place in places)
