"""How a picture file becomes a tensor, because a lost alpha channel or a clipped 16-bit mask would train in silence."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
from torch import Tensor

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
    """Read a picture file upright, with straight (not premultiplied) colours.

    Gray files become RGB; palettes and colour keys become alpha; 16 bits are scaled, never clipped; EXIF orientation is
    applied; of an animation the first frame is taken. Raises ValueError with one sentence that names the file where it
    cannot be read.
    """
    path = Path(path)
    try:
        _refuse_without_content(path)
        with _truncated_files_refused(), Image.open(path) as file:
            notes = _notes(file)
            file.load()
            rgb, alpha = _planes(ImageOps.exif_transpose(file))
    except UnidentifiedImageError:
        raise ValueError(f"cannot read image {str(path)!r}: it is not a picture of a known kind") from None
    except FileNotFoundError:
        raise ValueError(f"cannot read image {str(path)!r}: there is no such file") from None
    except (
        Exception
    ) as reason:  # Pillow's decoders raise a dozen types on damaged files, SyntaxError and struct.error among them
        raise ValueError(f"cannot read image {str(path)!r}: {_one_line(reason)}") from reason
    return LoadedImage(torch.from_numpy(rgb), None if alpha is None else torch.from_numpy(alpha), notes)


def _refuse_without_content(path: Path) -> None:
    if path.is_dir():
        raise ValueError("it is a folder, expected a picture file")
    size = path.stat().st_size
    if not path.is_file():
        raise ValueError("it is not a regular file")  # opening a pipe would wait for ever
    if size == 0:
        raise ValueError("the file is empty")


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


def _notes(file: Image.Image) -> tuple[str, ...]:
    notes = []
    frames = getattr(file, "n_frames", 1)
    if frames > 1:
        notes.append(f"only the first of {frames} frames is used")
    if file.getexif().get(_ORIENTATION, 1) in range(2, 9):
        notes.append("turned upright as its EXIF orientation says")
    if file.mode == "CMYK":
        notes.append("converted from CMYK without its colour profile, so colours may look different")
    return tuple(notes)


def _planes(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """(rgb [H,W,3], alpha [H,W] or None), float32 in 0..1."""
    if image.mode == "F" or image.mode.startswith("I"):
        gray, alpha = _deep_gray(image)
        return np.repeat(gray[..., None], 3, axis=-1), alpha
    if image.has_transparency_data:
        _reduce_colour_key(image)
        pixels = np.asarray(image.convert("RGBA"), dtype=np.float32) / 255
        return np.ascontiguousarray(pixels[..., :3]), np.ascontiguousarray(pixels[..., 3])
    return np.asarray(image.convert("RGB"), dtype=np.float32) / 255, None


def _reduce_colour_key(image: Image.Image) -> None:
    """Pillow keeps the upper 8 of 16 bits of a colour, but all 16 of the colour that stands for transparent, which then
    matches none."""
    key = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(key, tuple) and max(key) > 255:
        image.info["transparency"] = tuple(value >> 8 for value in key)


def _deep_gray(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
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
    alpha = (values != colour_key).astype(np.float32) if isinstance(colour_key, int) else None
    return values.astype(np.float32) / np.float32(full), alpha


def _one_line(reason: Exception) -> str:
    return " ".join(str(reason).split()) or type(reason).__name__
