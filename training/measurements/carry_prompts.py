"""What samples are asked for when a context is measured elsewhere: poses, expressions, framings and backgrounds that
the reference does not show, and never the identity."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..miniature import pose as poses
from ..miniature import scene
from ..miniature.background import PATTERNS, Backdrop, draw_backdrop
from ..miniature.identity import Character, draw_character
from ..miniature.pose import Pose, draw_pose
from ..miniature.scene import Person, Scene

PROMPTS = 6
SEEDS = 4  # samples of each prompt
OPEN_PROMPTS = 2  # that leave the pose to the model
OPEN_SEEDS = 6
_FRAMINGS = ("portrait", "upper body", "upper body", "upper body", "full body", "full body")


@dataclass(frozen=True)
class Asked:
    """One prompt: a pose in words and a background. Place, scale and tilt of `pose` are left to the model."""

    pose: Pose
    backdrop: Backdrop

    @property
    def prompt(self) -> str:
        """The pose and the background in the words of the miniature's captions."""
        return ", ".join((scene.COUNTS[1], *self.pose.tags, *self.backdrop.tags))

    @property
    def open_prompt(self) -> str:
        """The background alone."""
        return ", ".join((scene.COUNTS[1], *self.backdrop.tags))


def asked_of(seed: int) -> tuple[Asked, ...]:
    """The prompts for the reference of this seed.

    Each names other arms, another ground and another pattern than the others and the reference; heads, bodies,
    expressions and framings are shared out evenly. No background is drawn in a colour near the character's, or nobody
    could say whose it is.
    """
    reference = scene.draw_reference(seed)
    (shown,) = reference.people
    rng = random.Random(f"carry {seed}")
    arms = [name for name in poses.ARMS if name != shown.pose.arms]
    wanted = {
        "arms": [*_shuffled(rng, arms), rng.choice(arms)],
        "head": _shuffled(rng, poses.HEADS * 2),
        "body": _shuffled(rng, poses.BODIES * 3),
        "expression": _shuffled(rng, poses.EXPRESSIONS * 2),
        "framing": _shuffled(rng, _FRAMINGS),
        "pattern": ["plain", *rng.sample([name for name in PATTERNS if name != "plain"], PROMPTS - 1)],
    }
    found: list[Asked] = []
    for number in range(PROMPTS):
        words = {name: values[number] for name, values in wanted.items()}
        pattern, taken = words.pop("pattern"), [each.backdrop.ground for each in found] + [reference.backdrop.ground]
        backdrop = draw_backdrop(rng, pattern)
        while backdrop.ground in taken or not scene.stands_out(shown.who, backdrop):
            backdrop = draw_backdrop(rng, pattern)
        found.append(Asked(in_words(draw_pose(rng, words["framing"]), words), backdrop))
    return tuple(found)


def in_words(pose: Pose, words: dict[str, str]) -> Pose:
    """The pose with other words; a portrait shows no arms, so it keeps those that it has."""
    return replace(pose, **{name: word for name, word in words.items() if (pose.framing, name) != ("portrait", "arms")})  # type: ignore[arg-type]


def known_character(seed: int, asked: Sequence[Asked]) -> Character:
    """One of the pretraining set that wears an accessory and stands out before each of the backgrounds, which captions
    can name whole."""
    rng = random.Random(f"known {seed}")
    while True:
        who = draw_character(rng)
        if who.accessory != "none" and all(scene.stands_out(who, each.backdrop) for each in asked):
            return who


def true_pictures(seed: int, asked: Sequence[Asked], who: Character | None = None) -> list[Scene]:
    """What a model that knows the character, the reference's by default, would draw: SEEDS pictures for each prompt,
    place, scale and tilt by chance."""
    rng, who = random.Random(f"true {seed}"), who or scene.reference_character(seed)
    return [
        scene.render((Person(who, _placed_anew(each.pose, rng)),), each.backdrop)
        for each in asked
        for _ in range(SEEDS)
    ]


def _placed_anew(pose: Pose, rng: random.Random) -> Pose:
    words = {name: getattr(pose, name) for name in ("arms", "head", "body", "expression")}
    return in_words(draw_pose(rng, pose.framing), words)


def _shuffled(rng: random.Random, values: list[str] | tuple[str, ...]) -> list[str]:
    return rng.sample(list(values), len(values))
