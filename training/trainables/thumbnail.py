"""The small picture that a context carries of what it learned: in its file, so that it goes wherever the file goes."""

from __future__ import annotations

import base64
import binascii
import io
from dataclasses import replace

from PIL import Image

from ..training_info import LONGEST_THUMBNAIL
from .context_file import ReferenceContext

SIDE = 192  # pixels of the longer side
LARGEST_SIDE = 1024  # of what another version may have written
QUALITIES = (80, 50, 20)  # of a JPEG; the first that is small enough
JPEG = b"\xff\xd8\xff"  # how one begins


def with_thumbnail(context: ReferenceContext, picture: Image.Image | None) -> ReferenceContext:
    """The context with the picture, where there is one."""
    if picture is None:
        return context
    small = picture.convert("RGB")
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    for quality in QUALITIES:
        content = io.BytesIO()
        small.save(content, "JPEG", quality=quality)
        said = base64.b64encode(content.getvalue()).decode("ascii")
        if len(said) <= LONGEST_THUMBNAIL:
            return replace(context, info=replace(context.info, thumbnail=said))
    return context


def jpeg_of(thumbnail: str | None) -> bytes | None:
    """The bytes of a thumbnail that anyone may have written; None where they are none of a JPEG."""
    if not thumbnail or len(thumbnail) > LONGEST_THUMBNAIL:
        return None
    try:
        content = base64.b64decode(thumbnail, validate=True)
    except (binascii.Error, ValueError):
        return None
    return content if content.startswith(JPEG) else None


def picture_of_thumbnail(thumbnail: str | None) -> Image.Image | None:
    """The same as a picture; None too where it is damaged or larger than a thumbnail is."""
    content = jpeg_of(thumbnail)
    if content is None:
        return None
    try:
        picture = Image.open(io.BytesIO(content), formats=["JPEG"])
        return picture.convert("RGB") if max(picture.size) <= LARGEST_SIDE else None
    # Pillow's decoders raise a dozen types on damaged files, SyntaxError and struct.error among them.
    except Exception:
        return None
