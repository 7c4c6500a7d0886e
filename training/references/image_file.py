"""How a picture file becomes a tensor, because a lost alpha channel or a clipped 16-bit mask would train in silence,
and because files of strangers must cost neither the memory nor the patience of whoever opens them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
from torch import Tensor

from ...masking.wording import printable, quoted
from ..files.regular_file import open_regular

# Nothing else is tried: Pillow would give a picture named .png that holds EPS to Ghostscript.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "AVIF")
# 8192x8192, sixteen times the pixels of the largest training size, 2048x2048: a subject that fills a quarter of each
# side is still trained from pixels of its own. As float32 it takes 0.8 GB.
MOST_PIXELS = 8192 * 8192
LONGEST_SIDE = 32768
LARGEST_FILE = 512 * 1024 * 1024  # MOST_PIXELS of 16-bit RGBA without compression
# Beside its pixels; a 4K colour profile or a workflow in a PNG is far below.
LARGEST_METADATA = 16 * 1024 * 1024
# Pillow finds the number of frames of a GIF or TIFF by walking through the whole file.
LARGEST_FILE_TO_COUNT_FRAMES = 1024 * 1024
_FRAMES_IN_HEADER = ("PNG", "WEBP", "AVIF")
_ORIENTATION = 0x0112  # EXIF tag


class LoadedImage(NamedTuple):
    """rgb [H,W,3] float32 in 0..1, alpha [H,W] float32 in 0..1 (1 = opaque) or None, and what an artist should know
    about the file."""

    rgb: Tensor
    alpha: Tensor | None
    notes: tuple[str, ...]

    @property
    def image(self) -> Tensor:
        """[H,W,4] where the file has an alpha channel, else [H,W,3]."""
        return self.rgb if self.alpha is None else torch.cat((self.rgb, self.alpha.unsqueeze(-1)), dim=-1)


def read_image(path: str | Path) -> LoadedImage:
    """Read a picture file of FORMATS upright, with straight (not premultiplied) colours.

    Gray files become RGB; palettes and colour keys become alpha; 16 bits are scaled, never clipped; EXIF orientation is
    applied; of an animation the first frame is taken; a JPEG of more than MOST_PIXELS is decoded at a half, a quarter
    or an eighth of its size. Raises ValueError with one sentence that names the file where it cannot be read, before
    anything is decoded where it is too large.
    """
    try:
        with (
            open_regular(path, LARGEST_FILE) as content,
            _truncated_files_refused(),
            Image.open(content, formats=_known_formats()) as file,
        ):
            notes = _reduced(file) + _notes(file, Path(path).stat().st_size)
            file.load()
            ImageOps.exif_transpose(file, in_place=True)
            rgb, alpha = _planes(file)
    except UnidentifiedImageError:
        reason = "it is not a picture of a known kind, expected PNG, JPEG, WebP, BMP, GIF, TIFF or AVIF"
        raise ValueError(f"cannot read image {quoted(path)}: {reason}") from None
    except Image.DecompressionBombError:
        raise ValueError(
            f"cannot read image {quoted(path)}: it has more than {MOST_PIXELS / 1e6:.0f} million pixels"
        ) from None
    except MemoryError:
        raise ValueError(f"cannot read image {quoted(path)}: there is not enough memory for it") from None
    # Pillow's decoders raise a dozen types on damaged files, SyntaxError and struct.error among them.
    except Exception as error:
        reason = printable(error, 130) or type(error).__name__
        raise ValueError(f"cannot read image {quoted(path)}: {reason}") from error
    return LoadedImage(rgb, alpha, notes)


def _known_formats() -> list[str]:
    """Those that this Pillow was built with; it refuses to be asked for others."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


@contextmanager
def _truncated_files_refused() -> Iterator[None]:
    """ComfyUI and some node packs tell Pillow to fill truncated files with gray; a reference half gray is not what the
    artist drew."""
    previous = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = previous


def _reduced(file: Image.Image) -> tuple[str, ...]:
    """Refuses what is too large, or has its decoder make it smaller where it can, and then says so."""
    width, height = file.size
    metadata = sum(len(value) for value in file.info.values() if isinstance(value, bytes | str))
    if metadata > LARGEST_METADATA:
        raise ValueError(
            f"it carries {metadata / 1e6:.0f} MB beside its pixels, expected at most {LARGEST_METADATA / 1e6:.0f} MB"
        )
    if not _too_large(width, height):
        return ()
    smaller = [(-(-width // divisor), -(-height // divisor)) for divisor in (2, 4, 8)]
    fitting = next((size for size in smaller if not _too_large(*size)), None)
    if fitting is not None:
        file.draft("RGB", fitting)  # a second draft would start from the first, and only a JPEG obeys
        if not _too_large(*file.size):
            return (f"decoded at {file.width}x{file.height} instead of {width}x{height}",)
    raise ValueError(
        f"it has {width}x{height} pixels, expected at most {MOST_PIXELS / 1e6:.0f} million and no side above "
        f"{LONGEST_SIDE}"
    )


def _too_large(width: int, height: int) -> bool:
    return width * height > MOST_PIXELS or max(width, height) > LONGEST_SIDE


def _notes(file: Image.Image, file_size: int) -> tuple[str, ...]:
    notes = []
    if getattr(file, "is_animated", False):
        counted = file.format in _FRAMES_IN_HEADER or file_size <= LARGEST_FILE_TO_COUNT_FRAMES
        of_all = f"of {getattr(file, 'n_frames', 2)} frames" if counted else "frame of the animation"
        notes.append(f"only the first {of_all} is used")
    if file.getexif().get(_ORIENTATION, 1) in range(2, 9):
        notes.append("turned upright as its EXIF orientation says")
    if file.mode == "CMYK":
        notes.append("converted from CMYK without its colour profile, so colours may look different")
    return tuple(notes)


def _planes(image: Image.Image) -> tuple[Tensor, Tensor | None]:
    """(rgb [H,W,3], alpha [H,W] or None), float32 in 0..1."""
    if image.mode == "F" or image.mode.startswith("I"):
        gray, alpha = _deep_gray(image)
        return gray.unsqueeze(-1).repeat(1, 1, 3), alpha
    if image.has_transparency_data:
        _reduce_colour_key(image)
        pixels = np.array(image.convert("RGBA"))
        return _scaled(pixels[..., :3]), _scaled(pixels[..., 3])
    return _scaled(np.array(image.convert("RGB"))), None


def _scaled(pixels: np.ndarray) -> Tensor:
    """uint8 0..255 -> float32 0..1, in place after the one copy."""
    return torch.from_numpy(pixels.astype(np.float32)).div_(255)


def _reduce_colour_key(image: Image.Image) -> None:
    """Pillow keeps the upper 8 of 16 bits of a colour, but all 16 of the colour that stands for transparent, which then
    matches none."""
    key = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(key, tuple) and max(key) > 255:
        image.info["transparency"] = tuple(value >> 8 for value in key)


def _deep_gray(image: Image.Image) -> tuple[Tensor, Tensor | None]:
    """Gray of 16 bits (modes I;16 and, in older Pillow, I) or of floating point, which Pillow's own conversion would
    clip at 255."""
    values = np.asarray(image)
    if not np.isfinite(values).all():
        raise ValueError("it holds NaN or infinite values")
    full = 1.0 if image.mode == "F" else 65535.0
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > full:
        raise ValueError(f"its values run from {low:g} to {high:g}, expected 0 to {full:g}")
    colour_key = image.info.get("transparency")
    alpha = torch.from_numpy((values != colour_key).astype(np.float32)) if isinstance(colour_key, int) else None
    return torch.from_numpy(values.astype(np.float32)).div_(full), alpha
