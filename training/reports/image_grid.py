"""Lays pictures out in rows and columns with labels that can be read, so that one look compares them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

MARGIN, GAP = 16, 8
SMALLEST_FONT = 15
INK, FAINT, HEAD, PAPER = (232, 232, 232), (150, 150, 150), (255, 205, 120), (24, 24, 24)
LARGEST_SIDE = 8192  # pixels of a whole grid; a hundred pictures at full size would fill the memory of a browser


@dataclass(frozen=True)
class GridRow:
    """Pictures side by side below their label; a faint label is one to compare with."""

    label: str
    images: Sequence[Image.Image]
    faint: bool = False


def labelled_grid(rows: Sequence[GridRow], columns: Sequence[str] = (), cell_width: int = 0) -> Image.Image:
    """RGB. Cells have `cell_width` pixels, and the aspect of the first picture; 0 shows pictures at their size, or as
    large as LARGEST_SIDE allows. columns: labels above the first row, one for each column, or none.
    """
    size = rows[0].images[0].size
    count = max(len(row.images) for row in rows)
    cell_width = cell_width or widest_cell(size, len(rows), count)
    cell_height = max(1, round(cell_width * size[1] / size[0]))
    inner = count * (cell_width + GAP) - GAP
    letters = max(SMALLEST_FONT, cell_width // 22, inner // 100)  # a wide grid is looked at from afar
    font, line = ImageFont.load_default(size=letters), round(letters * 1.6)
    labels = [wrapped(row.label, font, inner) for row in rows]
    heads = [wrapped(column, font, cell_width) for column in columns]
    head_height = max((len(lines) for lines in heads), default=0) * line
    heights = [len(lines) * line + cell_height + GAP for lines in labels]
    sheet = Image.new("RGB", (inner + 2 * MARGIN, head_height + sum(heights) + 2 * MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)

    def write(lines: Sequence[str], left: int, top: int, ink: tuple[int, int, int]) -> None:
        for number, text in enumerate(lines):
            draw.text((left, top + number * line), text, ink, font)

    for number, lines in enumerate(heads):
        write(lines, MARGIN + number * (cell_width + GAP), MARGIN, HEAD)
    top = MARGIN + head_height
    for row, lines, height in zip(rows, labels, heights, strict=True):
        write(lines, MARGIN, top, FAINT if row.faint else INK)
        for number, image in enumerate(row.images):
            shown = (
                image
                if image.size == (cell_width, cell_height)
                else image.resize((cell_width, cell_height), Image.Resampling.LANCZOS)
            )
            sheet.paste(shown, (MARGIN + number * (cell_width + GAP), top + len(lines) * line))
        top += height
    return sheet


def widest_cell(size: tuple[int, int], rows: int, columns: int, largest: int = LARGEST_SIDE) -> int:
    """The width of cells for pictures of `size` (width, height): their own, or less where the grid would pass
    `largest`."""
    width, height = size
    by_columns = (largest - 2 * MARGIN) // columns - GAP
    by_rows = round((largest - 2 * MARGIN) / rows * 0.8 * width / height)  # a fifth is left for labels
    return max(1, min(width, by_columns, by_rows))


def wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    """The text in lines of at most `width` pixels, broken between words, and within a word only where it is wider than
    a line."""
    lines: list[str] = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split():
            if line and font.getlength(f"{line} {word}") > width:
                lines.append(line)
                line = ""
            line = f"{line} {word}".strip()
            while font.getlength(line) > width and len(line) > 1:
                fitting = next(
                    end for end in range(len(line) - 1, 0, -1) if end == 1 or font.getlength(line[:end]) <= width
                )
                lines.append(line[:fitting])
                line = line[fitting:]
        lines.append(line)
    return lines
