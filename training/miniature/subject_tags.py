"""The tags of the miniature's captions that say how a character looks."""

from __future__ import annotations

from ..references.subject_tags import SubjectTags, TagGroup
from . import palette
from .identity import ACCESSORIES, CLOTHES, HAIRSTYLES


def subject_tags() -> SubjectTags:
    return (
        TagGroup(tuple(f"{shade.word} hair" for shade in palette.HAIR)),
        TagGroup(tuple(f"{style} hair" for style in HAIRSTYLES)),
        TagGroup(tuple(f"{shade.word} eyes" for shade in palette.EYES)),
        TagGroup(tuple(f"{shade.word} {outfit}" for shade in palette.CLOTHES for outfit in CLOTHES)),
        TagGroup(tuple(name for name in ACCESSORIES if name != "none"), optional=True),
    )
