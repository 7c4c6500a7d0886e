"""Shows what the trainer will see, before a minute is spent: the framed picture, the mask as drawn, the latent mask."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional

from .latent import report_reduction
from .pixels import picture_of, tensor_of
from .wording import printable

PANEL_HEIGHT = 512
LARGEST_PANEL_WIDTH = 1024  # a panorama is shown smaller instead
MARGIN = 12
LINE_HEIGHT = 24
LONGEST_TITLE = 120
INK, PAPER, WARNING = (232, 232, 232), (24, 24, 24), (255, 190, 90)
LEARNED = (255, 64, 160)


def overlay(image: Tensor, weight: Tensor, strength: float = 0.6) -> Tensor:
    """The picture with its ignored parts in dark gray and its learned parts tinted at their edge.

    image: [H,W,3] in 0..1; weight: [H,W] in 0..1. Returns [H,W,3].
    """
    gray = (image.mean(-1, keepdim=True) * 0.35 + 0.08).expand_as(image)
    share = weight[..., None]
    shown = image * share + gray * (1 - share) * strength + image * (1 - share) * (1 - strength) * 0.5
    # A cell differs from its neighbour where the weight jumps: that is the border of what is learned.
    spread = functional.max_pool2d(weight[None, None], 3, 1, 1) + functional.max_pool2d(-weight[None, None], 3, 1, 1)
    edge = spread[0, 0, :, :, None].clamp(0, 1)
    return shown * (1 - edge) + image.new_tensor(LEARNED) / 255 * edge


def preview_reference(
    image: Tensor, mask: Tensor, latent_mask: Tensor, title: str, warnings: Sequence[str] = ()
) -> Image.Image:
    """Three panels side by side (picture, mask as drawn, latent mask as squares of its true size) above the figures,
    and below them what an artist should know: `warnings`, and what the reduction to latent cells brings.

    image: [h,w,3] at training size; mask: [H,W] of any resolution over the same rectangle; latent_mask: [1,1,h',w'].
    """
    report = report_reduction(mask, latent_mask)
    height, width = image.shape[:2]
    scale = min(PANEL_HEIGHT / height, LARGEST_PANEL_WIDTH / width)
    panel = (max(1, round(width * scale)), max(1, round(height * scale)))

    def scaled(weight: Tensor, mode: str) -> Tensor:
        resized = functional.interpolate(weight[None, None].float().cpu(), size=(panel[1], panel[0]), mode=mode)
        return resized[0, 0].clamp(0, 1)

    shown = functional.interpolate(
        image.permute(2, 0, 1)[None].float().cpu(), size=(panel[1], panel[0]), mode="bilinear", antialias=True
    )[0].permute(1, 2, 0)
    cells = scaled(latent_mask[0, 0], "nearest-exact")
    panels = [shown, overlay(shown, scaled(mask, "area")), overlay(shown, cells)]
    latent_height, latent_width = latent_mask.shape[-2:]
    captions = [
        f"{printable(title, LONGEST_TITLE)}: {width}x{height} px for training",
        f"mask as drawn: {report.drawn_coverage:.1%} of the frame is learned",
        f"latent mask {latent_width}x{latent_height}: coverage {report.latent_coverage:.1%}",
    ]
    return _sheet(panels, captions, [*warnings, *report.warnings])


def preview_tensor(sheets: list[Image.Image]) -> Tensor:
    """Sheets below each other as one ComfyUI IMAGE [1,H,W,3]."""
    width = max(sheet.width for sheet in sheets)
    page = Image.new("RGB", (width, sum(sheet.height for sheet in sheets)), PAPER)
    top = 0
    for sheet in sheets:
        page.paste(sheet, (0, top))
        top += sheet.height
    return tensor_of(page)[None]


def words_sheet(text: str, width: int) -> Image.Image:
    """Lines of text as a sheet of this width, to stand below others."""
    font = ImageFont.load_default(size=18)
    lines = [part for line in text.splitlines() for part in textwrap.wrap(line, max(40, width // 10))]
    sheet = Image.new("RGB", (width, MARGIN * 2 + LINE_HEIGHT * len(lines)), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        draw.text((MARGIN, MARGIN + number * LINE_HEIGHT), line, INK, font)
    return sheet


def _sheet(panels: list[Tensor], captions: list[str], told: list[str]) -> Image.Image:
    font = ImageFont.load_default(size=18)
    width = sum(panel.shape[1] for panel in panels) + MARGIN * (len(panels) + 1)
    letters = max(24, panels[0].shape[1] // 10)
    wrapped = [textwrap.wrap(caption, letters) for caption in captions]
    warnings = [line for text in told for line in textwrap.wrap(f"Warning: {text}", max(40, width // 10))]
    caption_lines = max(len(lines) for lines in wrapped)
    height = MARGIN * 3 + panels[0].shape[0] + LINE_HEIGHT * (caption_lines + len(warnings))
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    left = MARGIN
    for panel, lines in zip(panels, wrapped, strict=True):
        sheet.paste(picture_of(panel), (left, MARGIN))
        for number, line in enumerate(lines):
            draw.text((left, MARGIN * 2 + panel.shape[0] + number * LINE_HEIGHT), line, INK, font)
        left += panel.shape[1] + MARGIN
    top = MARGIN * 2 + panels[0].shape[0] + caption_lines * LINE_HEIGHT
    for number, line in enumerate(warnings):
        draw.text((MARGIN, top + number * LINE_HEIGHT), line, WARNING, font)
    return sheet
