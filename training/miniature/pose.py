"""How a character stands in a picture: arms, head, body, framing and expression, each named by a tag of the caption."""

from __future__ import annotations

import random
from dataclasses import dataclass

EXPRESSIONS = ("smile", "open mouth", "closed mouth")
ARMS = ("arms at sides", "arms up", "hands on hips", "waving", "crossed arms", "arms behind back")
HEADS = ("looking at viewer", "looking to the left", "looking to the right")
BODIES = ("straight-on", "three-quarter view")
FRAMINGS = ("portrait", "upper body", "full body")

# Of a lone character, by framing: the scale, and how many units the picture shows below the head's centre.
_SCALES = {"portrait": (1.45, 1.9), "upper body": (0.95, 1.25), "full body": (0.66, 0.82)}
_CUTS = {"portrait": (27.0, 38.0), "upper body": (56.0, 70.0), "full body": (120.0, 120.0)}
_TILTS = {"portrait": 10.0, "upper body": 10.0, "full body": 7.0}
_ABOVE = 38.0  # units from the head's centre to raised hands
_FRAMING_CHANCES = (20, 45, 35)


@dataclass(frozen=True)
class Pose:
    """How a character is drawn.

    x, y: the head's centre as shares of the side; scale: 1 is a head of about 40 of 128 pixels; tilt: of the head, in
    degrees, of which the body takes a third. Left and right are the picture's. `mirrored` swaps the sides of all that
    is not named (the waving arm, a ponytail, a bow). `swing` and `sway` (-1..1) vary limbs and hair within the named
    pose.
    """

    x: float
    y: float
    scale: float
    tilt: float
    mirrored: bool
    expression: str
    arms: str = "arms at sides"
    head: str = "looking at viewer"
    body: str = "straight-on"
    framing: str = "upper body"
    swing: float = 0.0
    sway: float = 0.0

    @property
    def tags(self) -> tuple[str, ...]:
        """The pose in words; a portrait is cut above the arms and does not name them."""
        arms = () if self.framing == "portrait" else (self.arms,)
        return (self.framing, self.body, self.head, *arms, self.expression)

    @property
    def facing(self) -> int:
        """-1 where the head turns to the picture's left, 1 to the right, 0 to the viewer."""
        return (0, -1, 1)[HEADS.index(self.head)]


def pose_tags() -> list[str]:
    """Every caption tag that names part of a pose."""
    return [*FRAMINGS, *BODIES, *HEADS, *ARMS, *EXPRESSIONS]


def draw_pose(rng: random.Random, framing: str | None = None) -> Pose:
    """A pose of a lone character, of that framing (None: any)."""
    framing = framing or rng.choices(FRAMINGS, _FRAMING_CHANCES)[0]
    scale = rng.uniform(*_SCALES[framing])
    aside = 0.06 if framing == "portrait" else 0.12
    return _drawn(rng, framing, scale, 0.5 + rng.uniform(-aside, aside), rng.uniform(*_CUTS[framing]))


def draw_side_pose(rng: random.Random, framing: str, x: float) -> Pose:
    """A pose for one of two characters, its head's centre near the share `x` of the width."""
    scale, cut = (
        (rng.uniform(0.78, 0.92), rng.uniform(60, 70)) if framing == "upper body" else (rng.uniform(0.6, 0.74), 120.0)
    )
    return _drawn(rng, framing, scale, x + rng.uniform(-0.03, 0.03), cut)


def _drawn(rng: random.Random, framing: str, scale: float, x: float, cut: float) -> Pose:
    y = 1 - cut * scale / 128
    if framing == "full body":
        y = rng.uniform(min(y, _ABOVE * scale / 128), y)
    tilt = _TILTS[framing]
    return Pose(
        x=x,
        y=y,
        scale=scale,
        tilt=rng.uniform(-tilt, tilt),
        mirrored=rng.random() < 0.5,
        expression=rng.choice(EXPRESSIONS),
        arms="arms at sides" if framing == "portrait" else rng.choice(ARMS),
        head=rng.choice((HEADS[0], *HEADS)),
        body=rng.choices(BODIES, (3, 2))[0],
        framing=framing,
        swing=rng.uniform(-1, 1),
        sway=rng.uniform(-1, 1),
    )
