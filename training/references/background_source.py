"""Where the backgrounds come from before which a subject is put, and what a prompt says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from ...masking.framed import Framed, crop_to_aspect, resize_image
from ..backbone import Backbone
from ..forward_passes import ForwardPasses
from .drawn_backgrounds import DrawingBackbone, choose_places, draw_backgrounds
from .scenery import Scenery

# Places for all references together. The views that a run is judged by have places that training never sees.
PLACES = 10
# Of a model that nobody described: what a prompt says of a background is not known, so it says nothing.
UNNAMED = Scenery(places=(), empty="", colours={}, plain="")


class BackgroundSource(Protocol):
    def background(self, number: int, size: tuple[int, int], generator: torch.Generator) -> tuple[Tensor, str]:
        """The picture [H,W,3] in 0..1 of (width, height) pixels for the `number`-th view, and what a prompt says of it.

        generator: a CPU generator for whatever is left to chance.
        """


class PlainBackgrounds:
    """One colour each: named ones where the model has names for them, else any."""

    def __init__(self, scenery: Scenery) -> None:
        self._scenery, self._names = scenery, list(scenery.colours)

    def background(self, number: int, size: tuple[int, int], generator: torch.Generator) -> tuple[Tensor, str]:
        width, height = size
        if not self._names:
            return torch.rand(3, generator=generator).expand(height, width, 3), ""
        name = self._names[int(torch.randint(len(self._names), (), generator=generator))]
        colour = torch.tensor(self._scenery.colours[name], dtype=torch.float32) / 255
        return colour.expand(height, width, 3), self._scenery.plain.format(colour=name)


class NoiseBackgrounds:
    """A colour of its own for each pixel."""

    def background(self, number: int, size: tuple[int, int], generator: torch.Generator) -> tuple[Tensor, str]:
        width, height = size
        return torch.rand(height, width, 3, generator=generator), ""


class GivenBackgrounds:
    """The user's pictures [H,W,3], each cut to the aspect that is needed."""

    def __init__(self, images: Sequence[Tensor]) -> None:
        self._images = images

    def background(self, number: int, size: tuple[int, int], generator: torch.Generator) -> tuple[Tensor, str]:
        chosen = self._images[int(torch.randint(len(self._images), (), generator=generator))]
        return cut_to_size(chosen, size), ""


class DrawnBackgrounds:
    """Places that the model draws once, at the size that is asked for first; another size is cut out of these."""

    def __init__(self, backbone: Backbone, places: Sequence[str], seed: int, passes: ForwardPasses) -> None:
        self._backbone, self._seed, self._places, self._passes = backbone, seed, places, passes
        self._drawn: list[Tensor] = []

    def background(self, number: int, size: tuple[int, int], generator: torch.Generator) -> tuple[Tensor, str]:
        if not self._drawn:
            self._drawn = draw_backgrounds(self._backbone, self._places, size, self._seed, self._passes)
        place = number % len(self._places)
        return cut_to_size(self._drawn[place], size), self._places[place]


def cut_to_size(image: Tensor, size: tuple[int, int]) -> Tensor:
    """The middle of a picture [H,W,3] in another size, without stretching."""
    width, height = size
    return resize_image(crop_to_aspect(Framed(image, image[..., 0]), width / height).image, width, height)


@dataclass(frozen=True)
class BackgroundSources:
    """For the views that training sees, and for those by which it is judged; `scenery` changes their prompts.

    passes: what it has cost so far to draw them.
    """

    training: BackgroundSource
    held_back: BackgroundSource
    scenery: Scenery
    passes: ForwardPasses = field(default_factory=ForwardPasses)


def background_sources(
    backbone: Backbone, kind: str, images: Sequence[Tensor], generator: torch.Generator
) -> BackgroundSources:
    """kind: of BACKGROUNDS, but not "its own"; a model that cannot draw has plain colours instead of drawn ones.

    generator: a CPU generator, left alone unless backgrounds are drawn.
    """
    scenery = backbone.scenery if isinstance(backbone, DrawingBackbone) else UNNAMED
    if kind == "drawn" and len(scenery.places) > 1:
        places = choose_places(scenery, PLACES, generator)
        seed = int(torch.randint(2**31, (), generator=generator))
        seen = max(1, round(0.8 * len(places)))
        passes = ForwardPasses()
        return BackgroundSources(
            DrawnBackgrounds(backbone, places[:seen], seed, passes),
            DrawnBackgrounds(backbone, places[seen:], seed + seen, passes),
            scenery,
            passes,
        )
    source: BackgroundSource = PlainBackgrounds(scenery)
    if kind == "noise":
        source = NoiseBackgrounds()
    elif kind == "pictures":
        source = GivenBackgrounds(images)
    return BackgroundSources(source, source, scenery)
