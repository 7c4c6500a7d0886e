"""Draws before_after.png: the reference, then the same seeds without and with the context under two other backgrounds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..context import ReferenceContext
from ..miniature.backbone import MiniatureBackbone, sample, to_pictures

CELL, GAP, LEFT, LINE = 192, 8, 16, 24
INK, FAINT, PAPER = (232, 232, 232), (150, 150, 150), (24, 24, 24)
SEEDS = (1, 2, 3, 4)
PROMPTS = (
    "1girl, smile, blue background, plain background",
    "1girl, closed mouth, pink background, dotted background, white dotted",
    "1girl, smile, orange background, hills background, green hills",
    "1girl, closed mouth, teal background, striped background, white striped",
)


@dataclass(frozen=True)
class _Row:
    label: str
    pictures: list[Image.Image]


def other_prompts(training_prompt: str) -> list[str]:
    """Two prompts whose backgrounds the training prompt does not name."""
    named = {tag.strip() for tag in training_prompt.split(",") if "background" in tag}
    shared = {prompt: len(named & {tag.strip() for tag in prompt.split(",")}) for prompt in PROMPTS}
    return sorted(PROMPTS, key=shared.__getitem__)[:2]


@torch.no_grad()
def before_after(
    backbone: MiniatureBackbone, context: ReferenceContext, image: Tensor, marked: Tensor, training_prompt: str, size: tuple[int, int]
) -> Image.Image:
    """image: the reference at training size [h,w,3]; marked: the same with its mask laid over it; size (width, height)."""
    latent = backbone.encode_image(image[None])
    shown = torch.cat([image[None], backbone.decode(latent).cpu(), marked[None]])
    rows = [_Row("reference | through the codec | what is learned", to_pictures(shown))]
    for prompt in other_prompts(training_prompt):
        rows.append(_Row(f"without context: {prompt}", to_pictures(sample(backbone, prompt, SEEDS, size))))
        rows.append(_Row(f"with context, same seeds: {prompt}", to_pictures(sample(backbone, prompt, SEEDS, size, context=context))))
    return _sheet(rows)


def _sheet(rows: list[_Row]) -> Image.Image:
    font = ImageFont.load_default(size=15)
    cell_height = round(CELL * rows[0].pictures[0].height / rows[0].pictures[0].width)
    width = LEFT * 2 + len(SEEDS) * (CELL + GAP) - GAP
    sheet = Image.new("RGB", (width, LEFT + len(rows) * (cell_height + LINE + GAP) + LEFT), PAPER)
    draw = ImageDraw.Draw(sheet)
    top = LEFT
    for row in rows:
        draw.text((LEFT, top), row.label, FAINT if row.label.startswith("without") else INK, font)
        for number, picture in enumerate(row.pictures):
            resized = picture.resize((CELL, cell_height), Image.Resampling.LANCZOS)
            sheet.paste(resized, (LEFT + number * (CELL + GAP), top + LINE))
        top += cell_height + LINE + GAP
    return sheet
