"""A context in any file that can hold one: told by what the file holds, not by its name."""

from __future__ import annotations

from pathlib import Path

from ..files.png_chunks import SIGNATURE
from ..files.regular_file import open_regular
from ..files.sentences import about_file
from ..training_info import TrainingInfo
from .context_card import GONE, NOUN, load_card, read_card_info
from .context_card import SUFFIX as CARD_SUFFIX
from .context_file import ReferenceContext, read_info
from .soft_tokens import is_soft_tokens, load_soft_tokens, read_soft_tokens_info

SUFFIX = ".safetensors"
SUFFIXES = (SUFFIX, CARD_SUFFIX)
# How the pictures begin that services make of a PNG.
JPEG, GIF, RIFF, WEBP = b"\xff\xd8\xff", b"GIF8", b"RIFF", b"WEBP"


def load_context(path: str | Path) -> ReferenceContext:
    """The context of a context file, a card or a soft-token file, on the CPU. Raises one ValueError that names the
    file."""
    if _is_card(path):
        return load_card(path)
    return load_soft_tokens(path) if is_soft_tokens(path) else ReferenceContext.load(path)


def read_stored_info(path: str | Path) -> TrainingInfo:
    """What it says of its training, without its tensors and unverified. Raises ValueError as `load_context` does."""
    if _is_card(path):
        return read_card_info(path)
    return read_soft_tokens_info(path) if is_soft_tokens(path) else read_info(path)


def suffix_of(path: str | Path) -> str:
    """How the name of such a file ends. Raises ValueError as `load_context` may."""
    return CARD_SUFFIX if _is_card(path) else SUFFIX


def _is_card(path: str | Path) -> bool:
    """Raises ValueError for a picture that has been a card at most."""
    try:
        with open_regular(path) as file:
            beginning = file.read(12)
    except (OSError, ValueError):  # said when it is loaded
        return False
    if beginning.startswith((JPEG, GIF)) or (beginning.startswith(RIFF) and beginning[8:] == WEBP):
        raise ValueError(about_file(NOUN, path, GONE))
    return beginning.startswith(SIGNATURE)
