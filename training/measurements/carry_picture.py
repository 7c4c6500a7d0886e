"""One picture a reference of what the trainings do: prompts in rows, trainings side by side, always the same seeds."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..miniature.backbone import to_pictures
from ..miniature.scene import SIDE, draw_reference
from ..reports.image_grid import FAINT, HEAD, INK, PAPER, wrapped
from .carry_prompts import PROMPTS, SEEDS, Asked, asked_of

NO_CONTEXT, TRUE_PICTURES = "no context, same seeds", "true pictures"
CELL, APART, LABELS, GAP, MARGIN = 84, 2, 250, 14, 18  # pixels
STRIDE = CELL + APART
IN_ONE_BAND = 5  # trainings side by side; more go below
SMALL, FONT, LARGE = (ImageFont.load_default(size=size) for size in (13, 15, 22))
SMALL_LINE, LINE = 16, 21  # pixels of a line of text
HEAD_LINES = 4
EXPLANATION = (
    "Trained on this one picture, where the mask selects the character ('six pictures' on six others of it). Each row "
    "is a prompt that names another pose and another background and never the character; each training draws it with "
    "the same four seeds, at guidance {guidance:g}.\n"
    "identity: 0 is what the model draws without a context, 1 what true pictures of the character show.\n"
    "obeys: how well pose and background follow the prompt; 1 is as well as without a context.\n"
    "free: how much poses differ from seed to seed; 1 is as much as without a context."
)


@dataclass(frozen=True)
class Column:
    """One training in the picture: its title, figures below it, and its samples as `keep_sheet` left them."""

    title: str
    figures: str
    sheet: Image.Image


def keep_sheet(path: Path, samples: Tensor) -> None:
    """Writes samples [PROMPTS*SEEDS,H,W,3] as a PNG, a row for each prompt."""
    sheet = Image.new("RGB", (SEEDS * SIDE, PROMPTS * SIDE))
    for number, image in enumerate(to_pictures(samples)):
        sheet.paste(image, (number % SEEDS * SIDE, number // SEEDS * SIDE))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def columns_of(sheets: Mapping[str, Path], rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    """What is drawn: the sheets in their order, with the figures of the rows of those trainings."""
    figures = {
        row["training"]: f"identity {row['identity']:.2f}\nobeys {row['obedience']:.2f}, free {row['freedom']:.2f}"
        for row in rows
    }
    return [Column(name, figures.get(name, ""), Image.open(path).convert("RGB")) for name, path in sheets.items()]


def picture(seed: int, columns: Sequence[Column], guidance: float) -> Image.Image:
    """RGB: the reference of this seed, what is to be seen, and a band of rows for every few columns."""
    bands = [columns[start : start + IN_ONE_BAND] for start in range(0, len(columns), IN_ONE_BAND)]
    widest = max(len(band) for band in bands)
    width = 2 * MARGIN + LABELS + widest * (SEEDS * STRIDE + GAP)
    top = MARGIN + 2 * SIDE + GAP
    height = top + len(bands) * (HEAD_LINES * LINE + PROMPTS * STRIDE + 2 * GAP)
    page = Image.new("RGB", (width, height), PAPER)
    _head(page, seed, guidance)
    for band in bands:
        _band(page, top, asked_of(seed), band)
        top += HEAD_LINES * LINE + PROMPTS * STRIDE + 2 * GAP
    return page


def _head(page: Image.Image, seed: int, guidance: float) -> None:
    draw, side = ImageDraw.Draw(page), 2 * SIDE
    page.paste(draw_reference(seed).picture.resize((side, side), Image.Resampling.LANCZOS), (MARGIN, MARGIN))
    left = MARGIN + side + GAP
    draw.text((left, MARGIN), f"The reference ({seed})", HEAD, LARGE)
    for number, line in enumerate(wrapped(EXPLANATION.format(guidance=guidance), FONT, page.width - left - MARGIN)):
        draw.text((left, MARGIN + 34 + number * LINE), line, INK, FONT)


def _band(page: Image.Image, top: int, asked: Sequence[Asked], columns: Sequence[Column]) -> None:
    draw = ImageDraw.Draw(page)
    first_row = top + HEAD_LINES * LINE
    for row, each in enumerate(asked):
        words = (each.pose.tags, each.backdrop.tags)
        lines = [line for tags in words for line in wrapped(", ".join(tags), SMALL, LABELS - GAP)]
        for number, line in enumerate(lines):
            draw.text((MARGIN, first_row + row * STRIDE + number * SMALL_LINE), line, FAINT, SMALL)
    for number, column in enumerate(columns):
        left = MARGIN + LABELS + number * (SEEDS * STRIDE + GAP)
        draw.text((left, top), column.title, HEAD, LARGE)
        draw.text((left, top + 30), column.figures, INK, FONT)
        for row, seed in itertools.product(range(PROMPTS), range(SEEDS)):
            box = (seed * SIDE, row * SIDE, (seed + 1) * SIDE, (row + 1) * SIDE)
            sample = column.sheet.resize((CELL, CELL), Image.Resampling.LANCZOS, box)
            page.paste(sample, (left + seed * STRIDE, first_row + row * STRIDE))
