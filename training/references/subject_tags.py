"""Tags that say how a subject looks, in groups of which it shows one: what is looked for in a reference."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class TagGroup:
    """Tags that exclude one another. optional: a subject may well show none of them, so that one has to prove itself
    first."""

    tags: tuple[str, ...]
    optional: bool = False


# What belongs to a model family.
SubjectTags = tuple[TagGroup, ...]


def still_open(groups: SubjectTags, named: Iterable[str]) -> SubjectTags:
    """The groups of which nothing is named yet; `named` are tags in lower case."""
    said = set(named)
    return tuple(group for group in groups if said.isdisjoint(group.tags))
