"""References from pictures in memory and files on disk in one list, because artists mix them; files are decoded only
when it is their turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ...masking.shape import MaskShape, shape_mask
from .reference import Reference, make_reference
from .reference_file import ReferenceFile


@dataclass(frozen=True)
class ReferenceList:
    """References in order. Iterating holds no picture of a file: whoever iterates decides how long it stays in memory.

    mask_shape: applied to every mask at the resolution in which it was drawn; references without a mask are left alone.
    whole: leave the masks out, so that all of each picture is learned.
    """

    sources: tuple[Reference | ReferenceFile, ...] = ()
    mask_shape: MaskShape = MaskShape()
    whole: bool = False

    def __len__(self) -> int:
        return len(self.sources)

    def __iter__(self) -> Iterator[Reference]:
        for source in self.sources:
            yield self._loaded(
                source
            )  # without a name of its own here, which would keep it while the next one is decoded

    def _loaded(self, source: Reference | ReferenceFile) -> Reference:
        reference = source if isinstance(source, Reference) else source.load()
        return replace(reference, mask=None) if self.whole else shape_reference(reference, self.mask_shape)

    def __add__(self, other: ReferenceList) -> ReferenceList:
        """The references of both; masks are treated as in the first."""
        return replace(self, sources=self.sources + other.sources)

    def adding(
        self, references: Sequence[Reference], caption: str = "", weight: float = 1.0, repeats: int = 1
    ) -> ReferenceList:
        """The list with these after it, each with this caption, weight and repeats, and named by its place."""
        first = len(self) + 1
        added = [
            make_reference(
                reference.image,
                reference.mask,
                caption,
                weight,
                f"added reference {number}",
                repeats,
                reference.emphasis,
            )
            for number, reference in enumerate(references, start=first)
        ]
        return replace(self, sources=(*self.sources, *added))


def shape_reference(reference: Reference, shape: MaskShape) -> Reference:
    """The reference with its mask shaped. Raises ValueError where nothing is left of the mask."""
    if reference.mask is None or shape == MaskShape():
        return reference
    mask = shape_mask(reference.mask, shape)
    checked = make_reference(reference.image, mask, name=reference.name)
    return replace(reference, mask=checked.mask)
