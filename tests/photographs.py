"""Says in a photograph of the frontend which files it shows, so that one of files that have changed since is found."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from saved_workflow import EXAMPLE_FILES, EXAMPLES

FOLDER = Path(__file__).parents[1] / "web" / "docs" / "images"
FIRST = EXAMPLE_FILES["your_character_from_one_picture"]
# What each photograph shows.
SHOWN: dict[str, Sequence[Path]] = {
    "first_workflow": [FIRST],
    "mask_editor": [FIRST],
    "templates": [path.with_suffix(".jpg") for path in EXAMPLES],
}
_START_OF_IMAGE, _COMMENT = b"\xff\xd8", b"\xff\xfe"  # markers of JPEG


def photograph(name: str) -> Path:
    return FOLDER / f"{name}.jpg"


def fingerprint(name: str) -> str:
    """Of the files that the photograph is to show, as they are now."""
    digest = hashlib.sha256()
    for path in SHOWN[name]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def sign(name: str) -> None:
    """Keeps the fingerprint in a photograph that was just taken, whose picture stays as it is."""
    path, text = photograph(name), fingerprint(name).encode()
    content = path.read_bytes().removeprefix(_START_OF_IMAGE)
    length = (len(text) + 2).to_bytes(2, "big")
    path.write_bytes(_START_OF_IMAGE + _COMMENT + length + text + content)


def signed_as(name: str) -> str | None:
    """The fingerprint of what a photograph shows."""
    with Image.open(photograph(name)) as picture:
        comment = picture.info.get("comment")
    return comment.decode() if comment else None
