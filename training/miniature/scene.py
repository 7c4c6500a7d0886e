"""Composes characters and a background into one captioned picture: for pretraining, references and measurements."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageChops

from . import background, character
from .background import Backdrop
from .character import Character
from .pose import Pose, draw_pose, draw_side_pose, pose_tags

SIDE = 128
SUPERSAMPLING = 3
COUNTS = ("no humans", "1girl", "2girls")
DISTINCT = 70.0  # of two 8-bit RGB colours, as the length of their difference
_COUNT_CHANCES = (12, 75, 13)


@dataclass(frozen=True)
class Person:
    """One character of a scene and how it is drawn."""

    who: Character
    pose: Pose


@dataclass(frozen=True)
class Scene:
    """A drawn picture with everything that is known about it.

    picture is RGB and mask is L (255 on the characters), both SIDE pixels square. `people` are drawn in their order,
    and `masks` hold what can be seen of each. `identity_tags` say who is drawn, `other_tags` everything else; with two
    people both are the tags of either, without repeats.
    """

    picture: Image.Image
    mask: Image.Image
    identity_tags: tuple[str, ...]
    other_tags: tuple[str, ...]
    people: tuple[Person, ...]
    backdrop: Backdrop
    masks: tuple[Image.Image, ...]

    @property
    def prompt(self) -> str:
        """All but the identity: what a training prompt should say."""
        return ", ".join(self.other_tags)


def vocabulary() -> list[str]:
    """Every tag that a caption can hold, in a fixed order."""
    return [*COUNTS, *pose_tags(), *character.identity_tags(), *background.tags()]


def other_tags(people: Sequence[Person], backdrop: Backdrop) -> tuple[str, ...]:
    """All that a caption says beside the identities."""
    posed = dict.fromkeys(tag for person in people for tag in person.pose.tags)
    return (COUNTS[len(people)], *posed, *backdrop.tags)


def render(people: Sequence[Person], backdrop: Backdrop) -> Scene:
    """Up to two people before a background, the first behind the second."""
    side = SIDE * SUPERSAMPLING
    picture = backdrop.paint(side)
    masks: list[Image.Image] = []
    for person in people:
        layer = character.paint(person.who, person.pose, side)
        alpha = layer.getchannel("A")
        masks = [ImageChops.subtract(mask, alpha) for mask in masks]
        picture.paste(layer, (0, 0), layer)
        masks.append(alpha)
    whole = Image.new("L", picture.size)
    for mask in masks:
        whole = ImageChops.lighter(whole, mask)
    return Scene(
        picture=picture.reduce(SUPERSAMPLING),
        mask=whole.reduce(SUPERSAMPLING),
        identity_tags=tuple(dict.fromkeys(tag for person in people for tag in person.who.identity_tags)),
        other_tags=other_tags(people, backdrop),
        people=tuple(people),
        backdrop=backdrop,
        masks=tuple(mask.reduce(SUPERSAMPLING) for mask in masks),
    )


def with_pose(who: Character, pose: Pose, backdrop: Backdrop) -> Scene:
    """The character alone in this pose before this background."""
    return render((Person(who, pose),), backdrop)


def compose(who: Character, pose: Pose, rng: random.Random, pattern: str | None = None) -> Scene:
    """The character in this pose before a background of that pattern (None: any)."""
    return with_pose(who, pose, background.draw_backdrop(rng, pattern))


def plan_scene(seed: int) -> tuple[list[Person], Backdrop]:
    """What a picture of the pretraining set shows: mostly one character, else two or none."""
    rng = random.Random(f"pretraining {seed}")
    count = rng.choices(range(len(COUNTS)), _COUNT_CHANCES)[0]
    drawn = [character.draw_character(rng) for _ in range(count)]
    people = draw_pair(drawn[0], drawn[1], rng) if count == 2 else [Person(who, draw_pose(rng)) for who in drawn]
    return people, background.draw_backdrop(rng)


def draw_scene(seed: int) -> Scene:
    """A picture of the pretraining set."""
    return render(*plan_scene(seed))


def draw_pair(left: Character, right: Character, rng: random.Random) -> list[Person]:
    """Two characters side by side, in one framing."""
    framing = rng.choice(("upper body", "full body"))
    people = [Person(who, draw_side_pose(rng, framing, x)) for who, x in ((left, 0.27), (right, 0.73))]
    return people if rng.random() < 0.5 else people[::-1]


def draw_reference(seed: int) -> Scene:
    """A picture of a character whose colours and accessory the miniature has never seen, over a busy background."""
    rng = random.Random(f"reference {seed}")
    who = character.draw_unseen_character(rng)
    pose = draw_pose(rng, rng.choice(("upper body", "upper body", "full body")))
    busy = [pattern for pattern in background.PATTERNS if pattern != "plain"]
    while True:
        backdrop = background.draw_backdrop(rng, rng.choice(busy))
        if stands_out(who, backdrop):
            return with_pose(who, pose, backdrop)


def stands_out(who: Character, backdrop: Backdrop) -> bool:
    """Whether the background shows none of the character's own colours, so that every part can be told from it."""
    behind = [backdrop.ground_colour] if backdrop.pattern == "plain" else [backdrop.ground_colour, backdrop.ink_colour]
    return all(math.dist(own, other) > DISTINCT for own in (who.hair, who.clothes, who.accent) for other in behind)


def reference_character(seed: int) -> Character:
    """Who `draw_reference` shows."""
    return character.draw_unseen_character(random.Random(f"reference {seed}"))


def draw_elsewhere(seed: int, number: int) -> Scene:
    """The character of `draw_reference(seed)` in another pose before another background; every second one is plain.

    Arms and the ground's colour differ from the reference's, and so does the head, the body or the framing.
    """
    rng = random.Random(f"elsewhere {seed} {number}")
    reference = draw_reference(seed)
    (shown,) = reference.people
    while True:
        pose, backdrop = draw_pose(rng), background.draw_backdrop(rng, "plain" if number % 2 else None)
        turned = (pose.head, pose.body, pose.framing) != (shown.pose.head, shown.pose.body, shown.pose.framing)
        elsewhere = backdrop.ground != reference.backdrop.ground and stands_out(shown.who, backdrop)
        if turned and elsewhere and pose.arms != shown.pose.arms:
            return with_pose(shown.who, pose, backdrop)
