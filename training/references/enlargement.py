"""Says of each reference on its way to training whether it has fewer pixels than training shows of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...masking.framing import Framing, enlargement_warning
from ...masking.wording import printable
from .prepare import frame_reference
from .reference import Reference


def enlargement_of(reference: Reference, framing: Framing) -> str:
    """A sentence where the reference, cropped as training crops it, is enlarged more than twice, else nothing."""
    framed, target = frame_reference(reference, framing)
    height, width = framed.mask.shape
    return enlargement_warning((width, height), target)


def noting_enlargement(references: Iterable[Reference], framing: Framing, notes: list[str]) -> Iterator[Reference]:
    """The references as they come, one in memory at a time; a sentence for each that is enlarged goes to `notes`."""
    for reference in references:
        warning = enlargement_of(reference, framing)
        if warning:
            notes.append(f"{printable(reference.name)}: {warning}")
        yield reference
        del reference
