"""A card: a PNG that every viewer shows, with a context inside.

The context lies as the bytes of its file, which no compression makes larger than it says, in private chunks that
decoders skip: the letters of their name say ancillary, private and safe to copy. What saves the picture anew, as chat
services do, leaves them out.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..files.png_chunks import FileParts, chunks_of
from ..files.sentences import about_file
from ..files.tensor_file import opened, read_from, read_metadata_from
from ..training_info import TrainingInfo
from .context_file import KIND, LARGEST_FILE, LIMITS, ReferenceContext, context_of, info_of_metadata

SUFFIX = ".png"
NOUN = "card"
CHUNK = b"afTc"
# libpng refuses a picture with a chunk above 8 MB.
LARGEST_CHUNK = 2**22
GONE = (
    "holds no context: a card loses it when a service or a program saves the picture anew; ask for the PNG itself, "
    "sent as a file"
)


def to_card(context: ReferenceContext, picture: Image.Image) -> bytes:
    """The content of a card. Raises ValueError where the context has no file."""
    stored, chunks = context.to_bytes(), PngInfo()
    for begin in range(0, len(stored), LARGEST_CHUNK):
        chunks.add(CHUNK, stored[begin : begin + LARGEST_CHUNK], True)  # behind the picture, which is shown sooner
    content = io.BytesIO()
    picture.convert("RGB").save(content, "PNG", pnginfo=chunks)
    return content.getvalue()


def load_card(path: str | Path) -> ReferenceContext:
    """The context in a card, on the CPU; the picture is not decoded. Raises one ValueError that names the file."""
    with _context_in(path) as stored:
        return context_of(read_from(stored, LIMITS, KIND))


def read_card_info(path: str | Path) -> TrainingInfo:
    """What the context in a card says of its training, without its tensors. Raises ValueError as `load_card` does."""
    with _context_in(path) as stored:
        return info_of_metadata(read_metadata_from(stored, LIMITS, KIND))


@contextmanager
def _context_in(path: str | Path) -> Iterator[BinaryIO]:
    try:
        with opened(path) as file:
            spans = chunks_of(file, CHUNK, LARGEST_FILE)
            if not spans:
                raise ValueError(GONE)
            yield FileParts(file, spans)  # type: ignore[misc]
    except ValueError as error:
        raise ValueError(about_file(NOUN, path, error)) from error
