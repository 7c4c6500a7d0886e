"""The preview shows what training will see: learned parts in colour, ignored parts gray, the figures in words."""

from __future__ import annotations

import pytest
import torch
from PIL import ImageDraw

from anima_fast_train.masking import overlay, preview_reference, preview_tensor, to_latent_mask
from anima_fast_train.masking.framing import enlargement_warning
from anima_fast_train.masking.preview import LEARNED, PANEL_HEIGHT, WARNING

RED = torch.tensor([0.9, 0.1, 0.1])


def half(height: int = 32, width: int = 48) -> tuple[torch.Tensor, torch.Tensor]:
    """A red picture, and a mask of its left half."""
    mask = torch.zeros(height, width)
    mask[:, : width // 2] = 1
    return RED.expand(height, width, 3).clone(), mask


def test_the_learned_part_keeps_its_colour_and_the_rest_goes_gray() -> None:
    image, mask = half()
    before = image.clone()
    shown = overlay(image, mask)
    torch.testing.assert_close(shown[:, :22], image[:, :22])
    ignored = shown[:, 26:]
    assert (ignored.amax(-1) - ignored.amin(-1)).max() < 0.5 * (RED.max() - RED.min())
    assert ignored.mean() < image.mean()
    assert torch.equal(image, before)


def test_the_border_of_what_is_learned_is_marked() -> None:
    shown = overlay(*half())
    torch.testing.assert_close(shown[:, 23], torch.tensor(LEARNED).div(255).expand(32, 3))
    for weight in (torch.ones(8, 8), torch.zeros(8, 8)):
        assert not torch.isclose(overlay(torch.zeros(8, 8, 3), weight), torch.tensor(LEARNED) / 255).all(-1).any()


def test_a_sheet_has_three_panels_above_its_words() -> None:
    image, mask = half(32, 48)
    sheet = preview_reference(image, mask, to_latent_mask(mask, (4, 6)), "half.png")
    assert sheet.width > 3 * PANEL_HEIGHT * 48 // 32
    assert sheet.height > PANEL_HEIGHT + 24
    pixels = torch.frombuffer(bytearray(sheet.tobytes()), dtype=torch.uint8).view(sheet.height, sheet.width, 3)
    panel = pixels[12 : 12 + PANEL_HEIGHT, 12 : 12 + PANEL_HEIGHT * 48 // 32].float() / 255
    torch.testing.assert_close(panel, RED.expand_as(panel), atol=0.01, rtol=0)
    assert (pixels[PANEL_HEIGHT + 24 :] > 200).any(), "words"


def warning_pixels(mask: torch.Tensor) -> int:
    sheet = preview_reference(torch.rand(64, 64, 3), mask, to_latent_mask(mask, (8, 8)), "reference")
    return sum(count for count, colour in sheet.getcolors(sheet.width * sheet.height) if colour == WARNING)


def test_a_mask_that_vanishes_or_covers_all_is_warned_of() -> None:
    line = torch.zeros(64, 64)
    line[:, 3] = 1
    square = torch.zeros(64, 64)
    square[16:48, 16:48] = 1
    assert warning_pixels(line) > 0
    assert warning_pixels(torch.ones(64, 64)) > 0
    assert warning_pixels(square) == 0


def words_below(monkeypatch: pytest.MonkeyPatch, image: torch.Tensor, mask: torch.Tensor, mode: str) -> str:
    """All that is written on the sheet of a reference."""
    written: list[str] = []
    with monkeypatch.context() as watched:
        watched.setattr(ImageDraw.ImageDraw, "text", lambda _, place, text, *style: written.append(text))
        preview_reference(
            image, mask, to_latent_mask(mask, (image.shape[0] // 8, image.shape[1] // 8), mode), "hair.png"
        )
    return " ".join(written)


def test_a_line_one_pixel_wide_is_warned_of_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    line = torch.zeros(1024, 1024)
    line[:, [300, 500, 700]] = 1
    area, strongest = (words_below(monkeypatch, torch.rand(1024, 1024, 3), line, mode) for mode in ("area", "max"))
    assert "hair.png: 1024x1024 px for training" in area
    assert "mask as drawn: 0.3% of the frame is learned" in area
    assert "latent mask 128x128: coverage 0.3%" in area
    assert "Warning: 100% of the drawn area vanished" in area and 'choose the reduction "max"' in area
    assert "latent mask 128x128: coverage 2.3%" in strongest
    assert "vanished" not in strongest and "switch crop_to_mask on" in strongest


def test_a_picture_that_is_enlarged_more_than_twice_is_warned_of() -> None:
    assert enlargement_warning((300, 300), (512, 512)) == ""
    assert "enlarged 4.0 times for training, from 128x128 to 512x512" in enlargement_warning((128, 128), (512, 512))


@pytest.mark.parametrize("size", [(16, 16), (16, 512), (512, 16)])
def test_any_shape_of_picture_has_a_sheet(size: tuple[int, int]) -> None:
    mask = torch.ones(*size)
    mask[0] = 0.5
    sheet = preview_reference(
        torch.rand(*size, 3), mask, to_latent_mask(mask, (size[0] // 8, size[1] // 8)), "a title, " * 20
    )
    assert min(sheet.size) > 90
    assert max(sheet.size) < 4000


def test_sheets_of_any_width_make_one_image() -> None:
    sheets = [
        preview_reference(torch.rand(32, width, 3), torch.ones(32, width), torch.ones(1, 1, 4, width // 8), "x")
        for width in (32, 64)
    ]
    page = preview_tensor(sheets)
    assert page.shape == (1, sum(sheet.height for sheet in sheets), max(sheet.width for sheet in sheets), 3)
    assert page.dtype == torch.float32
    assert page.min() >= 0
    assert page.max() <= 1
