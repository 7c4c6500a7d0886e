"""A reference in files: its picture, and a mask and an attention map of its own where it has them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ...masking.sources import extract_mask
from ...masking.wording import quoted, sentence
from .image_file import read_image
from .painted_file import read_with_painted_colours
from .reference import Reference, make_reference


@dataclass(frozen=True)
class ReferenceFile:
    """A reference whose pixels stay on disk until load; the fields are the arguments of read_reference."""

    image: Path
    mask: Path | None = None
    mask_source: str | None = None
    caption: str = ""
    weight: float = 1.0
    repeats: int = 1
    emphasis: Path | None = None

    def load(self) -> Reference:
        return read_reference(
            self.image, self.mask, self.mask_source, self.caption, self.weight, self.repeats, self.emphasis
        )


def read_reference(
    image_path: str | Path,
    mask_path: str | Path | None = None,
    mask_source: str | None = None,
    caption: str = "",
    weight: float = 1.0,
    repeats: int = 1,
    emphasis_path: str | Path | None = None,
) -> Reference:
    """A reference from a picture file, its mask from a mask file (by luminance unless mask_source says otherwise).

    Without a mask file, mask_source "alpha" or "transparent" reads the picture's own alpha; with neither, all of it is
    learned.
    """
    image_path = Path(image_path)
    loaded = read_with_painted_colours(image_path)
    notes = loaded.notes
    mask = None
    if mask_path is not None or mask_source is not None:
        source = loaded
        if mask_path is not None:
            source = read_image(mask_path)
            notes += tuple(f"its mask: {note}" for note in source.notes)
        try:
            mask = extract_mask(mask_source or "luminance", image=source.image)
        except ValueError as reason:
            raise ValueError(sentence(f"no mask from {quoted(mask_path or image_path)}: {reason}")) from reason
    emphasis = None if emphasis_path is None else extract_mask("luminance", image=read_image(emphasis_path).image)
    return replace(make_reference(loaded.rgb, mask, caption, weight, image_path.name, repeats, emphasis), notes=notes)
