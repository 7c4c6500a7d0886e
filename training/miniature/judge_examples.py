"""Draws the scenes that the judge learns from and is tested on, and says what there is to read in them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any

import numpy
import torch
from torch import Tensor

from . import identity, palette, scene
from .background import Backdrop, draw_backdrop
from .identity import Character
from .judge import COLOURS, PERSON_WORDS, PLACE, SCENE_WORDS, SLOTS, WORDS, oklab
from .pose import draw_pose
from .scene import Person, Scene

_COUNT_CHANCES = (8, 80, 12)
_EVERY_SHADE = tuple(dict.fromkeys((*palette.HAIR, *palette.CLOTHES, *palette.UNSEEN, palette.YELLOW)))
_EVERY_EYE = tuple(dict.fromkeys((*palette.EYES, *palette.UNSEEN_EYES)))
HELD_OUT = 10_000_000  # the first seed of scenes that the judge is not trained on


def draw_any_character(rng: random.Random) -> Character:
    """A character of any colours and any accessory, known to the miniature or not."""
    return replace(
        identity.draw_character(rng),
        hair=rng.choice(_EVERY_SHADE).draw(rng),
        eyes=rng.choice(_EVERY_EYE).draw(rng),
        clothes=rng.choice(_EVERY_SHADE).draw(rng),
        accent=rng.choice(_EVERY_SHADE).draw(rng),
        accessory=rng.choice(identity.ACCESSORIES + identity.UNSEEN_ACCESSORIES),
        identity_tags=(),
    )


def draw_judged(seed: int) -> Scene:
    """A scene for the judge to learn from, or to be tested on."""
    rng = random.Random(f"judge {seed}")
    people = [draw_any_character(rng) for _ in range(rng.choices(range(3), _COUNT_CHANCES)[0])]
    drawn = (
        scene.draw_pair(people[0], people[1], rng)
        if len(people) == SLOTS
        else [Person(who, draw_pose(rng)) for who in people]
    )
    return scene.render(drawn, draw_backdrop(rng))


def truth(drawn: Scene) -> dict[str, list[Any]]:
    """What there is to read from a scene, of its left and its right person.

    That is the number of each word (-1: not to be seen), the 8-bit colours and the place of the head.
    """
    slots = _slots(drawn.people)
    found: dict[str, list[Any]] = {
        name: [_number(name, word) for word in words]
        for name, words in words_to_read(drawn.people, drawn.backdrop).items()
    }
    for name in COLOURS:
        found[name] = [getattr(person.who, name) for person in slots] or [(0, 0, 0)] * SLOTS
    found[PLACE] = [(person.pose.x, person.pose.y, person.pose.scale) for person in slots] or [(0.0, 0.0, 0.0)] * SLOTS
    return found


def words_to_read(people: Sequence[Person], backdrop: Backdrop) -> dict[str, list[str | None]]:
    """The word of each attribute for the left and the right person; None where it cannot be seen."""
    slots = _slots(people)
    whole = {
        "framing": people[0].pose.framing if people else None,
        "count": scene.COUNTS[len(people)],
        "pattern": backdrop.pattern,
        "ground": backdrop.ground.word,
        "ink": None if backdrop.pattern == "plain" else backdrop.ink.word,
    }
    found = {name: [_word(person, name) for person in slots] or [None] * SLOTS for name in PERSON_WORDS}
    return found | {name: [whole[name]] * SLOTS for name in SCENE_WORDS}


def _slots(people: Sequence[Person]) -> list[Person]:
    """From left to right; a lone person is both, and nobody is none."""
    ordered = sorted(people, key=lambda person: person.pose.x)
    return ordered if len(ordered) == SLOTS else ordered * SLOTS


def _word(person: Person, attribute: str) -> str | None:
    if attribute == "arms" and person.pose.framing == "portrait":
        return None
    source: object = person.who if attribute in ("hairstyle", "outfit", "accessory") else person.pose
    return str(getattr(source, attribute))


def _number(attribute: str, word: str | None) -> int:
    return -1 if word is None else WORDS[attribute].index(word)


def _draw(seed: int) -> tuple[numpy.ndarray, dict[str, list[Any]]]:
    drawn = draw_judged(seed)
    return numpy.asarray(drawn.picture), truth(drawn)


def draw_examples(seeds: range) -> tuple[Tensor, dict[str, Tensor]]:
    """uint8 pictures [N,3,128,128] and their truths, [N,2] or [N,2,3]; colours in OKLab."""
    with ProcessPoolExecutor() as pool:
        pictures, truths = zip(*pool.map(_draw, seeds, chunksize=100), strict=True)
    stacked = {name: torch.tensor([found[name] for found in truths]) for name in truths[0]}
    stacked |= {name: oklab(stacked[name].float() / 255) for name in COLOURS}
    return torch.from_numpy(numpy.stack(pictures)).permute(0, 3, 1, 2).contiguous(), stacked
