"""The backgrounds that the miniature knows, in the words of its captions."""

from __future__ import annotations

import itertools

from ..references.scenery import Scenery
from . import background, palette


def scenery() -> Scenery:
    """Every pattern in some pairs of colours, so that each colour is ground and ink about equally often."""
    shades = palette.BACKGROUND
    busy = [pattern for pattern in background.PATTERNS if pattern != "plain"]
    places = [
        f"{ground.word} background, {pattern} background, {shades[(place + step) % len(shades)].word} {pattern}"
        for (place, ground), (step, pattern) in itertools.product(enumerate(shades), enumerate(busy, start=1))
    ]
    return Scenery(
        places=tuple(places),
        empty="no humans",
        colours={shade.word: shade.middle for shade in shades},
        plain="{colour} background, plain background",
        naming=frozenset(background.tags()),
    )
