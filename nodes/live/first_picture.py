"""What is learned of a reference as a picture: on the node before anything is trained, small in its file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from comfy.utils import ProgressBar
from latent_preview import MAX_PREVIEW_RESOLUTION
from PIL import Image
from torch.nn import functional

from ...masking.framing import Framing
from ...masking.latent import Reduction
from ...masking.pixels import picture_of
from ...masking.preview import overlay
from ...training.references.prepare import prepare_reference
from ...training.references.reference import Reference
from ...training.references.reference_list import ReferenceList
from ..models.family import CELL_PIXELS
from .phases import Phases


class FirstPicture:
    """`image` is what is learned of the first reference, once it has been on its way to the encoder."""

    def __init__(self, phases: Phases, framing: Framing, reduction: Reduction) -> None:
        self.image: Image.Image | None = None
        self._phases, self._framing, self._reduction = phases, framing, reduction

    def announce(self, references: ReferenceList | Sequence[Reference]) -> Iterator[Reference]:
        """The references, each as its phase begins; the node shows the first of them."""
        waiting = iter(references)
        for number in range(1, len(references) + 1):
            self._phases.begin(f"encoding picture {number} of {len(references)}")
            yield self._shown(next(waiting))  # without a name here, which would keep it while the next one is decoded

    def _shown(self, reference: Reference) -> Reference:
        if self.image is None:
            self.image = masked_picture(reference, self._framing, self._reduction)
            # A fraction of one step: the bar stays at its start.
            ProgressBar(1).update_absolute(0, 1, ("JPEG", self.image, MAX_PREVIEW_RESOLUTION))
        return reference


def masked_picture(reference: Reference, framing: Framing, reduction: Reduction) -> Image.Image:
    """The reference at training size, gray where it is ignored, in the latent cells in which it is learned."""
    prepared = prepare_reference(reference, framing)
    height, width = prepared.image.shape[:2]
    cells = prepared.latent_mask((height // CELL_PIXELS, width // CELL_PIXELS), reduction)
    return picture_of(overlay(prepared.image, functional.interpolate(cells, size=(height, width))[0, 0]))
