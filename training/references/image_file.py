"""How a picture file becomes a tensor, because a lost alpha channel or a clipped 16-bit mask would train in silence,
and because files of strangers must cost neither the memory nor the patience of whoever opens them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image, ImageFile, UnidentifiedImageError
from torch import Tensor

from ...masking.wording import printable, quoted
from ..files.regular_file import open_regular
from .image_planes import MOST_KEPT, ORIENTATION, Planes, planes_of, size_kept

# Nothing else is tried: Pillow would give a picture named .png that holds EPS to Ghostscript.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "AVIF")
# 8192x8192, a scan of A3 at 500 dots per inch. Decoded it takes 256 MiB; of what is kept, see MOST_KEPT.
MOST_PIXELS = 8192 * 8192
LONGEST_SIDE = 32768
LARGEST_FILE = 512 * 1024 * 1024  # MOST_PIXELS of 16-bit RGBA without compression
# Beside its pixels; a 4K colour profile or a workflow in a PNG is far below.
LARGEST_METADATA = 16 * 1024 * 1024
# Pillow finds the number of frames of a GIF or TIFF by walking through the whole file.
LARGEST_FILE_TO_COUNT_FRAMES = 1024 * 1024
_FRAMES_IN_HEADER = ("PNG", "WEBP", "AVIF")


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


def read_image(path: str | Path, most_pixels: int = MOST_KEPT) -> LoadedImage:
    """Read a picture file of FORMATS upright, with straight (not premultiplied) colours.

    Gray files become RGB; palettes and colour keys become alpha; 16 bits are scaled, never clipped; EXIF orientation is
    applied; of an animation the first frame is taken; what has more than `most_pixels` is reduced to about as many, and
    a JPEG of more than MOST_PIXELS is decoded at a half, a quarter or an eighth of its size. Raises ValueError with one
    sentence that names the file where it cannot be read, before anything is decoded where it is too large.
    """
    try:
        planes, notes = _decoded(path, most_pixels)
        return LoadedImage(*planes.tensors(), notes)
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


def _decoded(path: str | Path, most_pixels: int) -> tuple[Planes, tuple[str, ...]]:
    """What is kept of the file, and its notes; the decoded picture itself is let go."""
    with (
        open_regular(path, LARGEST_FILE) as content,
        _truncated_files_refused(),
        Image.open(content, formats=_known_formats()) as file,
    ):
        size = file.size
        _draft_or_refuse(file)
        notes = _notes(file, Path(path).stat().st_size)
        file.load()
        planes = planes_of(file, most_pixels)
        kept = size_kept(file.size, most_pixels)
    if kept != size:
        notes = (f"reduced from {size[0]}x{size[1]} to {kept[0]}x{kept[1]} pixels", *notes)
    return planes, notes


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


def _draft_or_refuse(file: Image.Image) -> None:
    """Has the decoder make smaller what is too large, where it can. Raises ValueError where it cannot."""
    width, height = file.size
    metadata = sum(len(value) for value in file.info.values() if isinstance(value, bytes | str))
    if metadata > LARGEST_METADATA:
        raise ValueError(
            f"it carries {metadata / 1e6:.0f} MB beside its pixels, expected at most {LARGEST_METADATA / 1e6:.0f} MB"
        )
    if not _too_large(width, height):
        return
    smaller = [(-(-width // divisor), -(-height // divisor)) for divisor in (2, 4, 8)]
    fitting = next((size for size in smaller if not _too_large(*size)), None)
    if fitting is not None:
        file.draft("RGB", fitting)  # a second draft would start from the first, and only a JPEG obeys
        if not _too_large(*file.size):
            return
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
    if file.getexif().get(ORIENTATION, 1) in range(2, 9):
        notes.append("turned upright as its EXIF orientation says")
    if file.mode == "CMYK":
        notes.append("converted from CMYK without its colour profile, so colours may look different")
    return tuple(notes)
