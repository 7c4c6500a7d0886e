"""Backgrounds in a model's own words: which there are, and which words of a prompt name one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .caption import split_tags

RGB = tuple[int, int, int]


@dataclass(frozen=True)
class Scenery:
    """What belongs to a model family.

    places: what a prompt says of each background that the model can draw. empty: what it says where nobody is shown.
    colours: by name, 8 bits a channel, and `plain`, with {colour} in it, what a prompt says of a background of one.
    naming: further tags that name a background, in lower case; those of places and plain colours do anyway, and so does
    every tag that ends in one of `endings`.
    """

    places: tuple[str, ...]
    empty: str
    colours: Mapping[str, RGB]
    plain: str
    naming: frozenset[str] = frozenset()
    endings: tuple[str, ...] = ("background",)
    _naming: frozenset[str] = field(init=False, repr=False, default=frozenset())

    def __post_init__(self) -> None:
        own = (*self.places, self.empty, *(self.plain.format(colour=name) for name in self.colours))
        words = {tag.lower() for place in own for tag in split_tags(place)}
        object.__setattr__(self, "_naming", frozenset(words | self.naming))

    def prompt_of(self, place: str) -> str:
        """What draws a background without anybody."""
        return f"{self.empty}, {place}"

    def names_background(self, tag: str) -> bool:
        """Whether a tag says what is behind the subject."""
        word = " ".join(tag.lower().replace("_", " ").split())
        return word in self._naming or word.endswith(self.endings)

    def with_background(self, prompt: str, place: str) -> str:
        """The prompt of a picture whose background was replaced: its own background goes, the new one is named.

        A prompt in sentences stays whole, since no tag in it names a background alone.
        """
        kept = [tag for tag in split_tags(prompt) if not self.names_background(tag)]
        return ", ".join([*kept, *split_tags(place)])
