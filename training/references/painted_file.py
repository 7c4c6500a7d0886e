"""The files of ComfyUI's mask editor, because one save leaves four of which only one may be wrong.

A save writes, beside each other and under one number: `clipspace-painted-masked-N.png`, the picture that Load Image
then shows, its alpha the mask; `clipspace-painted-N.png`, the same without the mask; `clipspace-paint-N.png`, what was
painted in colour; and `clipspace-mask-N.png`, the picture without that paint, which the editor opens the next time.
Where the first and the last lost their colours, the second still has them.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from ...masking.painted import restore_colours
from .image_file import LoadedImage, read_image

LARGEST_REPAIR = 2**25  # pixels; about five times 16 bytes each are in memory meanwhile
_PAINTED_MASKED = re.compile(r"clipspace-painted-masked-(\d{1,20})\.png")


@dataclass(frozen=True)
class PaintedLayers:
    """The four files of one save; whether they are there is not said."""

    painted_masked: Path
    painted: Path
    paint: Path
    mask: Path


def painted_layers(path: Path) -> PaintedLayers | None:
    """The files of the save whose picture this is, by its name; None for any other name."""
    named = _PAINTED_MASKED.fullmatch(path.name)
    if named is None:
        return None
    others = (path.with_name(f"clipspace-{layer}-{named[1]}.png") for layer in ("painted", "paint", "mask"))
    return PaintedLayers(path, *others)


def read_with_painted_colours(path: Path) -> LoadedImage:
    """A picture as `read_image` reads it, or with its colours and a note where the mask editor had lost them and the
    file beside it kept them. Raises ValueError as `read_image` does."""
    layers = painted_layers(path)
    if layers is None:
        return read_image(path)
    # Layers are compared pixel by pixel, which what is reduced has no longer.
    loaded = read_image(path, LARGEST_REPAIR)
    if not _is_plain_file(layers.painted):
        return loaded
    try:
        restored = _restored(loaded, layers.painted)
    except ValueError:  # the file beside it is broken; this one is not
        return loaded
    if restored is None:
        return loaded
    note = f"its colours under the mask, which the mask editor lost, are from {layers.painted.name!r}"
    return LoadedImage(restored, loaded.alpha, (*loaded.notes, note))


def without_layers(paths: Sequence[Path]) -> list[Path]:
    """The pictures of a folder without those that are only layers of another one of them."""
    saves = [layers for path in paths if (layers := painted_layers(path)) is not None]
    left_out = {layer for save in saves for layer in (save.painted, save.paint, save.mask)}
    return [path for path in paths if path not in left_out]


def repair_painted_file(path: Path) -> tuple[Path, ...]:
    """Give a saved picture, and the one that the editor opens the next time, their lost colours back on disk.

    Each file is replaced at once or not at all, and its alpha stays as it is. Returns the files that were rewritten:
    none where no colours are lost or the file beside it that kept them is missing or of another picture. Links, other
    kinds of files and pictures of more than LARGEST_REPAIR pixels are left alone. Raises OSError or ValueError where a
    file cannot be read or written.
    """
    layers = painted_layers(path)
    if layers is None or not _is_repairable(layers.painted):
        return ()
    rewritten = []
    for broken, paint in ((layers.painted_masked, None), (layers.mask, layers.paint)):
        if not _is_repairable(broken):
            continue
        loaded = read_image(broken, LARGEST_REPAIR)
        restored = _restored(loaded, layers.painted, paint)
        if restored is not None:
            assert loaded.alpha is not None
            _write(broken, LoadedImage(restored, loaded.alpha, ()).image)
            rewritten.append(broken)
    return tuple(rewritten)


def _restored(loaded: LoadedImage, painted: Path, paint: Path | None = None) -> Tensor | None:
    """[H,W,3]; paint: a file that is transparent wherever `painted` shows what `loaded` showed."""
    if loaded.alpha is None:
        return None
    ignored = None
    if paint is not None and _is_repairable(paint):
        strokes = read_image(paint, LARGEST_REPAIR).alpha
        if strokes is not None and strokes.shape == loaded.alpha.shape:
            ignored = strokes > 0
    kept = read_image(painted, LARGEST_REPAIR).rgb
    return restore_colours(loaded.rgb, loaded.alpha, kept, ignored)


def _is_plain_file(path: Path) -> bool:
    """Not a link, so that a folder shows nothing from elsewhere."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _is_repairable(path: Path) -> bool:
    """Whether it is a picture as the mask editor writes it, of a size that can be rewritten."""
    if not _is_plain_file(path):
        return False
    try:
        with Image.open(path) as file:
            return file.format == "PNG" and file.mode == "RGBA" and file.width * file.height <= LARGEST_REPAIR
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # Pillow's, for what is no sound picture
        return False


def _write(path: Path, image: Tensor) -> None:
    """Replace a PNG file by [H,W,4] in 0..1; its permissions stay."""
    pixels = np.rint(image.numpy() * 255).astype(np.uint8)
    # The ending keeps it out of lists of pictures.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            Image.fromarray(pixels).save(file, format="PNG", compress_level=4)
        shutil.copymode(path, name)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
