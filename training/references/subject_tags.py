"""Tags that say how a subject looks, in groups of which it shows one: what is looked for in a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class TagGroup:
    """Tags that exclude one another. optional: a subject may well show none of them, so that one has to prove itself
    first."""

    tags: tuple[str, ...]
    optional: bool = False


# What belongs to a model family.
SubjectTags = tuple[TagGroup, ...]


# Last words of tags of which a subject has one kind.
ONE_OF_EACH = frozenset({"eyes", "ears", "tail", "wings"})


def still_open(groups: SubjectTags, named: Sequence[str]) -> SubjectTags:
    """The groups of which nothing is named yet; `named` are tags in lower case."""
    kinds = {tag.split()[-1] for tag in named} & ONE_OF_EACH
    return tuple(group for group in groups if not any(tag in named or tag.split()[-1] in kinds for tag in group.tags))
