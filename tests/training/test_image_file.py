"""That every kind of picture file an artist may bring is read as it looks, and that a broken one gives one sentence
with its name."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from anima_fast_train.masking import MASK_SOURCES, extract_mask
from anima_fast_train.training.references.image_file import read_image


def photo(width: int = 24, height: int = 16) -> Image.Image:
    """A smooth picture that JPEG keeps well: red rises to the right, green downwards."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 255 // (width - 1), y * 255 // (height - 1), np.full_like(x, 90)], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8), "RGB")


def as_tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.asarray(image, dtype=np.float32) / 255)


def noise(width: int = 64, height: int = 64) -> Image.Image:
    """A picture that does not compress, so that a file of it can be cut in its pixels."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8), "RGB")


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a with space.PNG", "höhe 高さ.png"])
def test_lossless_files_are_read_exactly(tmp_path: Path, name: str) -> None:
    photo().save(tmp_path / name)
    loaded = read_image(tmp_path / name)
    assert torch.equal(loaded.rgb, as_tensor(photo()))
    assert loaded.rgb.dtype == torch.float32
    assert loaded.alpha is None
    assert loaded.notes == ()


@pytest.mark.parametrize("name", ["a.jpg", "a.webp"])
def test_lossy_files_are_read_closely(tmp_path: Path, name: str) -> None:
    photo(96, 64).save(tmp_path / name, quality=95)
    assert (read_image(tmp_path / name).rgb - as_tensor(photo(96, 64))).abs().mean() < 0.02


@pytest.mark.parametrize("name", ["a.png", "a.webp"])
def test_alpha_is_handed_on_and_colours_stay_straight(tmp_path: Path, name: str) -> None:
    rgba = np.zeros((8, 8, 4), dtype=np.uint8)
    rgba[..., 0] = 200
    rgba[:, 4:, 3] = 128
    Image.fromarray(rgba, "RGBA").save(
        tmp_path / name, **({"lossless": True, "exact": True} if name.endswith("webp") else {})
    )
    loaded = read_image(tmp_path / name)
    assert loaded.alpha is not None
    assert loaded.alpha[0].tolist() == [0.0] * 4 + [pytest.approx(128 / 255)] * 4
    torch.testing.assert_close(loaded.rgb[..., 0], torch.full((8, 8), 200 / 255))
    assert loaded.image.shape == (8, 8, 4)


def test_a_palette_with_transparency_gives_colours_and_alpha(tmp_path: Path) -> None:
    palette = Image.new("P", (4, 2))
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    palette.putdata([0, 1, 2, 0, 0, 1, 2, 0])
    palette.save(tmp_path / "a.png", transparency=bytes([255, 0, 51]))
    loaded = read_image(tmp_path / "a.png")
    assert loaded.alpha is not None
    torch.testing.assert_close(loaded.alpha[0], torch.tensor([1.0, 0.0, 0.2, 1.0]))
    assert loaded.rgb[0, 2].tolist() == [0.0, 0.0, 1.0]


def test_a_palette_without_transparency_has_no_alpha(tmp_path: Path) -> None:
    photo().quantize(16).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").alpha is None


@pytest.mark.parametrize(("mode", "save"), [("L", {"transparency": 7}), ("LA", {})])
def test_gray_with_transparency_gives_rgb_and_alpha(tmp_path: Path, mode: str, save: dict[str, int]) -> None:
    gray = Image.new("L", (3, 1))
    gray.putdata([7, 100, 255])
    if mode == "LA":
        gray.putalpha(gray.point(lambda value: 0 if value == 7 else 255))
    gray.save(tmp_path / "a.png", **save)
    loaded = read_image(tmp_path / "a.png")
    assert loaded.alpha is not None
    assert loaded.alpha.tolist() == [[0.0, 1.0, 1.0]]
    torch.testing.assert_close(loaded.rgb[0, :, 1], torch.tensor([7.0, 100.0, 255.0]) / 255)


def png_of_16_bits(path: Path, pixels: np.ndarray, colour_key: tuple[int, int, int]) -> None:
    """Pillow writes no such file. pixels: [H,W,3]."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
        + chunk(b"tRNS", struct.pack(">HHH", *colour_key))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_a_colour_key_of_16_bits_is_transparent(tmp_path: Path) -> None:
    key = (1000, 2000, 3000)
    png_of_16_bits(tmp_path / "a.png", np.array([[key, (60000, 50000, 40000)]]), key)
    loaded = read_image(tmp_path / "a.png")
    assert loaded.alpha is not None
    assert loaded.alpha.tolist() == [[0.0, 1.0]]
    torch.testing.assert_close(
        loaded.rgb[0, 1], torch.tensor([60000.0, 50000.0, 40000.0]) / 65535, atol=1 / 255, rtol=0
    )


@pytest.mark.parametrize("ending", ["png", "webp", "tif"])
@pytest.mark.parametrize("source", MASK_SOURCES)
def test_one_rgba_file_gives_the_documented_mask_of_each_source(tmp_path: Path, source: str, ending: str) -> None:
    red, blue, gray = (255, 0, 0, 0), (0, 0, 255, 255), (128, 128, 128, 51)
    path = tmp_path / f"a.{ending}"
    pixels = np.array([[red, blue, gray]], dtype=np.uint8)
    Image.fromarray(pixels, "RGBA").save(path, **({"lossless": True, "exact": True} if ending == "webp" else {}))
    expected = {
        "mask": [1.0, 0.0, 0.8],
        "inverted mask": [0.0, 1.0, 0.2],
        "red": [1.0, 0.0, 128 / 255],
        "luminance": [0.299, 0.114, 128 / 255],
        "alpha": [0.0, 1.0, 0.2],
        "transparent": [1.0, 0.0, 0.8],
    }
    loaded = read_image(path)
    assert loaded.alpha is not None
    of_load_image = 1 - loaded.alpha  # ComfyUI's node makes its MASK so
    torch.testing.assert_close(
        extract_mask(source, mask=of_load_image, image=loaded.image), torch.tensor([[expected[source]]])
    )


def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path: Path) -> None:
    values = np.array([[0, 255, 256, 32768, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    loaded = read_image(tmp_path / "a.png")
    torch.testing.assert_close(loaded.rgb[0, :, 0], torch.from_numpy(values[0].astype(np.float32) / 65535))
    assert loaded.rgb.shape == (1, 5, 3)


def test_an_exif_rotated_jpeg_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn by 90 degrees clockwise
    photo(96, 64).save(tmp_path / "a.jpg", exif=exif, quality=95)
    loaded = read_image(tmp_path / "a.jpg")
    expected = as_tensor(photo(96, 64).transpose(Image.Transpose.ROTATE_270))
    assert loaded.rgb.shape == (96, 64, 3)
    assert (loaded.rgb - expected).abs().mean() < 0.02
    assert loaded.notes == ("turned upright as its EXIF orientation says",)


def test_a_cmyk_jpeg_keeps_its_colours(tmp_path: Path) -> None:
    Image.new("RGB", (32, 32), (220, 40, 60)).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    loaded = read_image(tmp_path / "a.jpg")
    torch.testing.assert_close(loaded.rgb[16, 16], torch.tensor([220.0, 40.0, 60.0]) / 255, atol=0.03, rtol=0)
    assert "CMYK" in loaded.notes[0]


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_of_an_animation_the_first_frame_is_read_with_a_note(tmp_path: Path, name: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue", "lime")]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=100)
    loaded = read_image(tmp_path / name)
    torch.testing.assert_close(loaded.rgb[8, 8], torch.tensor([1.0, 0.0, 0.0]), atol=0.02, rtol=0)
    assert loaded.notes == ("only the first of 3 frames is used",)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.gif", "a.bmp", "a.tif"])
def test_a_file_cut_short_is_refused_even_where_pillow_was_told_to_bear_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, share: float
) -> None:
    path = tmp_path / name
    noise().save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(ValueError, match=f"^cannot read image '.*{name}': [^\n]+$"):
        read_image(path)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.gif", "a.tif"])
def test_a_file_cut_anywhere_is_refused_or_loses_no_pixel(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    noise(24, 24).save(path)
    content, whole = path.read_bytes(), read_image(path).rgb
    for length in [*range(1, len(content), 37), *range(len(content) - 24, len(content))]:
        path.write_bytes(content[:length])
        try:
            loaded = read_image(path)
        except ValueError:
            continue
        assert torch.equal(loaded.rgb, whole), length


def test_nan_in_a_file_is_refused(tmp_path: Path) -> None:
    values = np.full((4, 4), 0.5, dtype=np.float32)
    values[1, 2] = np.nan
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"a\.tif': it holds NaN or infinite values"):
        read_image(tmp_path / "a.tif")


def test_floating_point_files_are_read_from_0_to_1_and_refused_beyond(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0.25, 1.0]], dtype=np.float32)).save(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif").rgb[0, :, 2].tolist() == [0.25, 1.0]
    Image.fromarray(np.array([[0.25, 200.0]], dtype=np.float32)).save(tmp_path / "b.tif")
    with pytest.raises(ValueError, match=r"b\.tif': its values run from 0.25 to 200, expected 0 to 1"):
        read_image(tmp_path / "b.tif")


def test_what_is_no_picture_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("a cat")
    (tmp_path / "folder.png").mkdir()
    for name, reason in [
        ("text.png", "not a picture of a known kind"),
        ("folder.png", "it is a folder"),
        ("gone.png", "no such file"),
    ]:
        with pytest.raises(ValueError, match=f"{name}': .*{reason}"):
            read_image(tmp_path / name)


@given(
    damage=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=20),
    kind=st.sampled_from(["png", "jpg", "gif"]),
)
@settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_bytes_give_a_picture_or_one_sentence(
    tmp_path: Path, damage: list[tuple[float, int]], kind: str
) -> None:
    path = tmp_path / f"damaged.{kind}"
    noise(16, 16).save(path)
    content = bytearray(path.read_bytes())
    for place, value in damage:
        content[int(place * len(content))] = value
    path.write_bytes(content)
    refused = ""
    try:
        assert bool(torch.isfinite(read_image(path).rgb).all())
    except ValueError as reason:
        refused = str(reason)
    if refused:
        assert refused.startswith(f"cannot read image '{path}': ")
        assert "\n" not in refused
