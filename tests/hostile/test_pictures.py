"""Picture files and tensors of strangers are read exactly or refused in one sentence, before they cost memory."""

from __future__ import annotations

import io
import os
import random
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from anima_fast_train.masking import Framed, as_training_mask, letterbox, match_masks
from anima_fast_train.masking.pixels import picture_of, tensor_of
from anima_fast_train.masking.shape import MaskShape
from anima_fast_train.training.references.image_file import read_image
from anima_fast_train.training.references.image_planes import MOST_KEPT, size_kept
from anima_fast_train.training.references.reference import make_reference, references_from_batch, unmasked_references
from anima_fast_train.training.references.reference_folder import FolderOptions, open_reference_folder
from anima_fast_train.training.references.reference_list import shape_reference

sys.path.insert(0, str(Path(__file__).parent))
from judged import cases, check_sentence, peak_bytes, refusals


def png_header(width: int, height: int, bits: int = 8, colour: int = 2) -> bytes:
    """A PNG that claims this size and holds one row."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def hostile_files() -> list[bytes]:
    """Files that are no pictures, claim to be huge, or carry huge things beside their pixels."""
    text = PngImagePlugin.PngInfo()
    text.add_text("workflow", "x" * 2_000_000, zip=True)
    with_text, eps = io.BytesIO(), b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n"
    Image.new("RGB", (8, 8)).save(with_text, "PNG", pnginfo=text)
    sizes = [(1, 2**31 - 1), (2**31 - 1, 2**31 - 1), (13_000, 13_000), (40_000, 10), (8193, 8193), (0, 5)]
    return [eps, with_text.getvalue(), b"\0" * 100, b"GIF89a" + b"\xff" * 40, *(png_header(*size) for size in sizes)]


def test_picture_files_are_read_or_refused(tmp_path: Path) -> None:
    rng = random.Random(0)
    kinds = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
    contents = hostile_files()
    for number in range(cases(60, 400) - len(contents)):
        file = io.BytesIO()
        Image.effect_noise((16, 16), 80).convert("RGB").save(file, kinds[number % len(kinds)])
        damaged = bytearray(file.getvalue())
        for _ in range(rng.randint(0, 8)):
            damaged[rng.randrange(min(len(damaged), rng.choice((60, 10_000))))] = rng.randrange(256)
        contents.append(bytes(damaged))
    path = tmp_path / "picture.png"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        loaded = read_image(path)
        assert loaded.rgb.isfinite().all() and loaded.rgb[..., 0].numel() <= MOST_KEPT

    said = refusals(read, contents)
    assert set(range(len(hostile_files()))) - {1} <= said.keys(), said
    assert "not a picture of a known kind" in said[0]


def test_a_jpeg_that_is_too_large_is_decoded_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from anima_fast_train.training.references import image_file

    monkeypatch.setattr(image_file, "MOST_PIXELS", 100 * 100)
    for name in ("a.jpg", "a.png"):
        Image.new("RGB", (300, 200), (200, 40, 60)).save(tmp_path / name)
    loaded = read_image(tmp_path / "a.jpg")
    assert loaded.rgb.shape == (50, 75, 3)
    assert loaded.notes == ("reduced from 300x200 to 75x50 pixels",)
    torch.testing.assert_close(loaded.rgb[20, 20], torch.tensor([200.0, 40.0, 60.0]) / 255, atol=0.03, rtol=0)
    with pytest.raises(ValueError, match="300x200 pixels, expected at most"):
        read_image(tmp_path / "a.png")


def drawn(mode: str) -> Image.Image:
    """40x20: left half dark and transparent, right half bright, the upper row of each cell of 2x2 a little darker."""
    rows = np.tile(np.arange(20, dtype=np.uint8)[:, None] % 2 * 20, (1, 40))
    gray = rows + np.where(np.arange(40) < 20, 40, 200).astype(np.uint8)
    if mode == "I;16":
        return Image.fromarray(gray.astype(np.uint16) * 257)
    picture = Image.fromarray(np.stack([gray, gray, gray], axis=-1))
    alpha = Image.fromarray(np.tile((np.arange(40) >= 20).astype(np.uint8) * 255, (20, 1)))
    if mode == "RGBA":
        picture.putalpha(alpha)
        return picture
    return picture.quantize(8) if mode == "P" else picture.convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "I;16"])
def test_what_has_more_pixels_than_training_uses_is_reduced(tmp_path: Path, mode: str) -> None:
    drawn(mode).save(tmp_path / "a.png")
    loaded = read_image(tmp_path / "a.png", most_pixels=200)
    assert loaded.notes == ("reduced from 40x20 to 20x10 pixels",)
    expected = torch.where(torch.arange(20) < 10, 50 / 255, 210 / 255).expand(10, 20)[..., None].expand(10, 20, 3)
    torch.testing.assert_close(loaded.rgb, expected, atol=0.005, rtol=0)
    if mode == "RGBA":
        assert loaded.alpha is not None and loaded.alpha[0].tolist() == [0.0] * 10 + [1.0] * 10
    else:
        assert loaded.alpha is None


def test_a_large_picture_is_reduced_as_it_is_turned(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    drawn("RGB").save(tmp_path / "a.png", exif=exif)
    loaded = read_image(tmp_path / "a.png", most_pixels=200)
    assert loaded.rgb.shape == (20, 10, 3)
    assert loaded.rgb[:10].mean() < 0.3 < 0.7 < loaded.rgb[10:].mean()


@pytest.mark.parametrize("size", [(8192, 8192), (32768, 2048), (1, 32768), (6000, 8000), (4096, 4097), (7, 3)])
def test_the_size_that_is_kept_has_its_aspect_and_no_more_pixels(size: tuple[int, int]) -> None:
    width, height = size_kept(size)
    assert 0 < width * height <= MOST_KEPT
    assert abs(width * size[1] / (height * size[0]) - 1) < 0.001
    assert (width, height) == size or width * height > 0.99 * MOST_KEPT


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux to read how much memory a process took")
def test_the_largest_picture_takes_little_more_than_its_decoded_pixels(tmp_path: Path) -> None:
    Image.new("RGB", (8192, 8192)).save(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size < 300_000
    decoded = 4 * 8192 * 8192  # Pillow keeps four bytes for each pixel
    with peak_bytes() as peak:
        read_image(tmp_path / "a.png")
    assert peak.bytes < decoded + 200 * 2**20


def test_files_that_are_none_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    odd = ["/dev/zero", "/dev/stdin", "\0", "\ud800", "x" * 5000, tmp_path / ("x" * 300), "/proc/self/mem", ""]
    every = [tmp_path / "fifo.png", tmp_path / "loop.png", *odd]
    assert len(refusals(read_image, every)) == len(every)


def test_a_folder_of_two_hundred_broken_files_is_one_sentence(tmp_path: Path) -> None:
    for number in range(200):
        (tmp_path / f"{number:03}{'x' * 200}\x1b[2J\n.png").write_bytes(b"no picture")
    said = refusals(open_reference_folder, [tmp_path])
    assert "200 of 200" in said[0] and "more" in said[0]
    Image.new("RGB", (8, 8)).save(tmp_path / "sound.png")
    opened = open_reference_folder(tmp_path, FolderOptions(strict=False))
    assert len(opened.broken) == 200
    for file in opened.broken:
        check_sentence(file.reason)


@pytest.mark.parametrize("folder", ["~nosuchuser/x", "x" * 5000, "\0", "\ud800", "/dev/null", "loop", "\x1b[2J"])
def test_folders_that_are_none_are_one_sentence(tmp_path: Path, folder: str) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    given = tmp_path / "loop" if folder == "loop" else folder
    assert len(refusals(open_reference_folder, [given])) == 1


BATCH, MASK = torch.rand(2, 8, 8, 3), torch.ones(2, 8, 8)
TENSORS = {
    "bytes": (BATCH * 255, MASK, "values from"),
    "negative": (BATCH * 2 - 1, MASK, "values from"),
    "mask of 128": (BATCH, MASK * 128, "weights from 128 to 128, expected 0 to 1"),
    "channel last": (BATCH, MASK[..., None], "expected [B,H,W]"),
    "empty": (BATCH[:0], MASK, "the batch of images is empty"),
    "no batch": (BATCH[0], MASK, "expected [B,H,W,3]"),
    "NaN": (BATCH * float("nan"), MASK, "NaN"),
}


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_in_other_ranges_and_layouts_are_one_sentence(name: str) -> None:
    images, masks, words = TENSORS[name]
    assert words in refusals(lambda _: references_from_batch(images, masks), [0])[0]


def test_other_ways_in_refuse_the_same() -> None:
    assert len(refusals(unmasked_references, [BATCH[:0], BATCH[0], BATCH * 255])) == 3
    assert len(refusals(as_training_mask, [MASK[..., None], MASK * 128, -2 * MASK])) == 3
    assert len(refusals(lambda mask: match_masks(mask, 2), [MASK[..., None], torch.ones(2, 3, 8, 8)])) == 2
    narrow = Framed(torch.zeros(1, 32768, 3), torch.ones(1, 32768))
    assert len(refusals(lambda framed: letterbox(framed, 1.0), [narrow])) == 1


def test_a_shaped_reference_keeps_its_attention_map_and_all_else() -> None:
    mask, attention = torch.zeros(16, 16), torch.rand(16, 16)
    mask[6:10, 6:10] = 1
    reference = make_reference(torch.rand(16, 16, 3), mask, "1girl", 2.0, "a", 3, attention)
    shaped = shape_reference(reference, MaskShape(grow=2))
    assert shaped.mask is not None and float(shaped.mask.sum()) > float(mask.sum())
    assert shaped.emphasis is not None and torch.equal(shaped.emphasis, attention)
    assert (shaped.caption, shaped.weight, shaped.name, shaped.repeats) == ("1girl", 2.0, "a", 3)


def test_pixels_survive_both_directions() -> None:
    picture = Image.effect_noise((9, 7), 80)
    for one in (picture, picture.convert("RGB")):
        assert picture_of(tensor_of(one)).tobytes() == one.tobytes()
    assert picture_of(torch.tensor([[-1.0, 0.5, 2.0]])).tobytes() == bytes([0, 128, 255])
