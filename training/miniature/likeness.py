"""Compares what the judge reads with what was meant: the character's colours and parts, the pose, the background."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from torch import Tensor

from .background import Backdrop
from .identity import Character, draw_unseen_character
from .judge import PERSON_WORDS, WORDS, Reading, oklab
from .pose import Pose

COLOUR_PARTS = ("hair", "eyes", "clothes")
PARTS = ("hairstyle", "outfit", "accessory")
POSE_PARTS = ("arms", "head", "body", "framing", "expression")
FAR = 0.2  # in OKLab, where agreement ends: lime and green are that far apart, red and blue twice as far


def colour_distance(reading: Reading, who: Character) -> dict[str, Tensor]:
    """Distance in OKLab [B] of each part's colour."""
    return {
        part: (reading.colours[part][:, 0] - oklab(torch.tensor(getattr(who, part)) / 255)).norm(dim=-1)
        for part in COLOUR_PARTS
    }


def colour_agreement(reading: Reading, who: Character) -> dict[str, Tensor]:
    """How far each part has the character's colour [B]: 1 the same, 0 from `FAR` on."""
    return {part: (1 - distance / FAR).clamp(0, 1) for part, distance in colour_distance(reading, who).items()}


def parts_agreement(reading: Reading, who: Character) -> dict[str, Tensor]:
    """The probability [B] that hairstyle, outfit and accessory are the character's."""
    return {part: chance_of(reading, part, getattr(who, part)) for part in PARTS}


def pose_agreement(reading: Reading, pose: Pose) -> dict[str, Tensor]:
    """The probability [B] of each part of the pose; a portrait does not show the arms."""
    parts = [part for part in POSE_PARTS if part != "arms" or pose.framing != "portrait"]
    return {part: chance_of(reading, part, getattr(pose, part)) for part in parts}


def backdrop_agreement(reading: Reading, backdrop: Backdrop) -> dict[str, Tensor]:
    """The probability [B] of the background's pattern and colour words; a plain one shows no ink."""
    meant = {"pattern": backdrop.pattern, "ground": backdrop.ground.word, "ink": backdrop.ink.word}
    return {
        part: chance_of(reading, part, word)
        for part, word in meant.items()
        if part != "ink" or backdrop.pattern != "plain"
    }


def chance_of(reading: Reading, attribute: str, word: str) -> Tensor:
    """The probability [B] of one word; of a person it is the left one's, which a lone one is too."""
    chances = reading.words[attribute][..., WORDS[attribute].index(word)]
    return chances[:, 0] if attribute in PERSON_WORDS else chances


def identity_distance(reading: Reading, who: Character) -> Tensor:
    """How unlike the character each picture is [B]: 0 alike, 1 in nothing; colours and parts count equally."""
    agreements = [*colour_agreement(reading, who).values(), *parts_agreement(reading, who).values()]
    return 1 - torch.stack(agreements).mean(0)


def is_nearest(reading: Reading, who: Character, others: Sequence[Character]) -> Tensor:
    """Whether the character is nearer to each picture [B] than all the others are.

    Colours count by their distance, without an end, so that a colour that is far from all of them still decides.
    """

    def distance(candidate: Character) -> Tensor:
        colours = torch.stack(list(colour_distance(reading, candidate).values())).mean(0) / FAR
        return colours + 1 - torch.stack(list(parts_agreement(reading, candidate).values())).mean(0)

    own = distance(who)
    return torch.stack([own < distance(other) for other in others]).all(0)


def decoys(who: Character, count: int, seed: int) -> list[Character]:
    """Other characters that the miniature has never seen, for `is_nearest`; none has all of the character's words."""
    rng = random.Random(f"decoys {seed}")
    found: list[Character] = []
    while len(found) < count:
        other = draw_unseen_character(rng)
        if any(getattr(other, part) != getattr(who, part) for part in PARTS):
            found.append(other)
    return found
