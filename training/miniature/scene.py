"""Composes a character and a background into one captioned picture, for pretraining and for references."""

from __future__ import annotations

import random
from dataclasses import dataclass

from PIL import Image

from . import background, character

SIDE = 128
SUPERSAMPLING = 3


@dataclass(frozen=True)
class Scene:
    """A drawn picture with everything that is known about it.

    picture is RGB and mask is L (255 on the character), both SIDE pixels square. `identity_tags` say who is drawn,
    `other_tags` everything else.
    """

    picture: Image.Image
    mask: Image.Image
    identity_tags: tuple[str, ...]
    other_tags: tuple[str, ...]

    @property
    def prompt(self) -> str:
        """All but the identity: what a training prompt should say."""
        return ", ".join(self.other_tags)


def vocabulary() -> list[str]:
    """Every tag that a caption can hold, in a fixed order."""
    return ["1girl", *character.EXPRESSIONS, *character.identity_tags(), *background.tags()]


def compose(who: character.Character, pose: character.Pose, rng: random.Random, pattern: str | None = None) -> Scene:
    """The character in this pose before a background of that pattern (None: any)."""
    side = SIDE * SUPERSAMPLING
    layer = character.paint(who, pose, side)
    backdrop, background_tags = background.draw_background(side, rng, pattern)
    backdrop.paste(layer, (0, 0), layer)
    return Scene(
        picture=backdrop.reduce(SUPERSAMPLING),
        mask=layer.getchannel("A").reduce(SUPERSAMPLING),
        identity_tags=who.identity_tags,
        other_tags=("1girl", pose.expression, *background_tags),
    )


def draw_scene(seed: int) -> Scene:
    """A picture of the pretraining set."""
    rng = random.Random(f"pretraining {seed}")
    return compose(character.draw_character(rng), character.draw_pose(rng), rng)


def draw_reference(seed: int) -> Scene:
    """A picture of a character whose colours and accessory the miniature has never seen, over a busy background."""
    rng = random.Random(f"reference {seed}")
    who = character.draw_unseen_character(rng)
    busy = [pattern for pattern in background.PATTERNS if pattern != "plain"]
    return compose(who, character.draw_pose(rng), rng, rng.choice(busy))


def reference_character(seed: int) -> character.Character:
    """Who `draw_reference` shows."""
    return character.draw_unseen_character(random.Random(f"reference {seed}"))


def draw_elsewhere(seed: int, number: int) -> Scene:
    """The character of `draw_reference(seed)` in another pose before another background; every second one is plain."""
    rng = random.Random(f"elsewhere {seed} {number}")
    return compose(reference_character(seed), character.draw_pose(rng), rng, "plain" if number % 2 else None)
