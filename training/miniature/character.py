"""Draws anime-like characters from a seed, so that the miniature model has a world of its own to learn.

A `Character` is an identity (colours, hairstyle, clothes, accessory); a `Pose` is what may change from picture to
picture. Both are drawn on a transparent layer, so that the training mask of a reference is known exactly.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from PIL import Image

from . import palette
from .palette import RGB, darker, lighter
from .pen import Pen, Pose

HAIRSTYLES = ("long", "short", "twintails", "ponytail", "bun", "spiky")
CLOTHES = ("dress", "sailor uniform", "hoodie", "shirt")
ACCESSORIES = ("none", "bow", "flower", "glasses", "cat ears", "headband")
UNSEEN_ACCESSORIES = ("star", "crescent", "horns", "crown")
EXPRESSIONS = ("smile", "open mouth", "closed mouth")


@dataclass(frozen=True)
class Character:
    """Who is drawn: 8-bit RGB colours and the words of each part."""

    hair: RGB
    eyes: RGB
    clothes: RGB
    skin: RGB
    accent: RGB
    hairstyle: str
    outfit: str
    accessory: str
    identity_tags: tuple[str, ...]


def identity_tags() -> list[str]:
    """Every caption tag that names part of an identity."""
    return (
        [f"{shade.word} hair" for shade in palette.HAIR]
        + [f"{style} hair" for style in HAIRSTYLES]
        + [f"{shade.word} eyes" for shade in palette.EYES]
        + [f"{shade.word} {outfit}" for shade in palette.CLOTHES for outfit in CLOTHES]
        + [accessory for accessory in ACCESSORIES if accessory != "none"]
    )


def draw_character(rng: random.Random) -> Character:
    """An identity from the pretraining set."""
    hair, eyes, clothes = (rng.choice(shades) for shades in (palette.HAIR, palette.EYES, palette.CLOTHES))
    style, outfit, accessory = rng.choice(HAIRSTYLES), rng.choice(CLOTHES), rng.choice(ACCESSORIES)
    tags = [f"{hair.word} hair", f"{style} hair", f"{eyes.word} eyes", f"{clothes.word} {outfit}"]
    return Character(
        hair=hair.draw(rng),
        eyes=eyes.draw(rng),
        clothes=clothes.draw(rng),
        skin=rng.choice(palette.SKIN),
        accent=rng.choice(palette.CLOTHES).draw(rng),
        hairstyle=style,
        outfit=outfit,
        accessory=accessory,
        identity_tags=tuple(tags if accessory == "none" else [*tags, accessory]),
    )


def draw_unseen_character(rng: random.Random) -> Character:
    """An identity whose colours and accessory no character of the pretraining set has."""
    hair, clothes = rng.sample(palette.UNSEEN, 2)
    return Character(
        hair=hair.draw(rng),
        eyes=rng.choice(palette.UNSEEN_EYES).draw(rng),
        clothes=clothes.draw(rng),
        skin=rng.choice(palette.SKIN[:3]),
        accent=palette.YELLOW.draw(rng),
        hairstyle=rng.choice(HAIRSTYLES),
        outfit=rng.choice(CLOTHES),
        accessory=rng.choice(UNSEEN_ACCESSORIES),
        identity_tags=(),
    )


def draw_pose(rng: random.Random) -> Pose:
    """A pose from the pretraining set's range."""
    return Pose(
        x=rng.uniform(0.38, 0.62),
        y=rng.uniform(0.38, 0.5),
        scale=rng.uniform(0.8, 1.15),
        tilt=rng.uniform(-10, 10),
        mirrored=rng.random() < 0.5,
        expression=rng.choice(EXPRESSIONS),
    )


def _back_hair(pen: Pen, who: Character) -> None:
    shade = darker(who.hair, 0.85)
    if who.hairstyle == "long":
        pen.polygon(
            [(-22, -8), (-26, 14), (-27, 48), (-16, 52), (-8, 46), (8, 46), (16, 52), (27, 48), (26, 14), (22, -8)],
            shade,
        )
    elif who.hairstyle == "twintails":
        for side in (-1, 1):
            pen.polygon(
                [(side * 17, -12), (side * 32, -8), (side * 37, 16), (side * 32, 40), (side * 26, 30), (side * 22, 4)],
                shade,
            )
    elif who.hairstyle == "ponytail":
        pen.polygon([(8, -20), (26, -22), (36, -2), (34, 30), (28, 38), (25, 12), (16, -8)], shade)
    elif who.hairstyle == "bun":
        pen.oval(-15, -22, 9, 9, shade)
        pen.oval(15, -22, 9, 9, shade)
    elif who.hairstyle == "spiky":
        points = []
        for index in range(13):
            angle = math.pi * (0.92 + 1.16 * index / 12)
            radius = 31 if index % 2 else 22
            points.append((radius * math.cos(angle), radius * math.sin(angle)))
        pen.polygon([*points, (20, 14), (-20, 14)], shade)
    pen.oval(0, -1, 22.5, 22.5, shade)
    if who.hairstyle == "short":
        pen.polygon([(-22, -4), (-24, 18), (-12, 22), (12, 22), (24, 18), (22, -4)], shade)


def _body(pen: Pen, who: Character) -> None:
    pen.polygon([(-5, 14), (-5, 28), (5, 28), (5, 14)], darker(who.skin, 0.9), 0.5)
    torso = [(-9, 24), (-22, 30), (-29, 46), (-33, 92), (33, 92), (29, 46), (22, 30), (9, 24)]
    pen.polygon(torso, who.clothes)
    if who.outfit == "dress":
        pen.polygon([(-8, 24), (0, 36), (8, 24)], who.skin, 0.5)
        pen.polygon([(-26, 56), (26, 56), (27, 61), (-27, 61)], who.accent, 0.5)
    elif who.outfit == "sailor uniform":
        pen.polygon([(-14, 25), (-16, 40), (0, 46), (16, 40), (14, 25), (0, 38)], lighter(who.clothes, 0.75), 0.6)
        pen.polygon([(-6, 41), (0, 45), (6, 41), (4, 52), (0, 48), (-4, 52)], who.accent, 0.5)
    elif who.outfit == "hoodie":
        pen.polygon([(-15, 24), (-17, 34), (0, 40), (17, 34), (15, 24), (0, 31)], darker(who.clothes, 0.75), 0.6)
        pen.line([(-4, 38), (-4, 52)], (245, 245, 245), 1.2)
        pen.line([(4, 38), (4, 52)], (245, 245, 245), 1.2)
    else:
        pen.polygon([(-9, 24), (-11, 32), (0, 38), (11, 32), (9, 24), (0, 32)], (250, 250, 250), 0.6)
        pen.line([(0, 38), (0, 92)], darker(who.clothes, 0.7), 0.9)


def _face(pen: Pen, who: Character, expression: str) -> None:
    pen.polygon(
        [(-17, -8), (-17, 4), (-12, 13), (-4, 19), (4, 19), (12, 13), (17, 4), (17, -8), (10, -16), (-10, -16)],
        who.skin,
    )
    blush = tuple(round(0.75 * a + 0.25 * b) for a, b in zip(who.skin, (255, 90, 110), strict=True))
    for side in (-1, 1):
        pen.oval(side * 11, 9, 3, 1.7, (blush[0], blush[1], blush[2]), 0)
        x = side * 7.5
        pen.oval(x, 2, 4.6, 6.0, (255, 255, 255), 0)
        pen.oval(x, 2.6, 3.8, 5.2, who.eyes, 0)
        pen.oval(x, 3.2, 1.8, 2.8, darker(who.eyes, 0.3), 0)
        pen.oval(x - 1.3, 0.2, 1.3, 1.6, (255, 255, 255), 0)
        pen.line([(x - 5, -1.5), (x - 2.5, -4), (x + 2.5, -4), (x + 5, -1.5)], (50, 35, 45), 1.5)
        pen.line([(x - 3.5, -8), (x + 3.5, -8.4)], darker(who.hair, 0.6), 0.9)
    if expression == "smile":
        pen.line([(-3.5, 12), (-1.5, 13.6), (1.5, 13.6), (3.5, 12)], (150, 60, 60), 1.0)
    elif expression == "open mouth":
        pen.oval(0, 13, 2.6, 2.6, (190, 60, 70), 0.4)
    else:
        pen.line([(-2.5, 13), (2.5, 13)], (150, 60, 60), 1.0)


def _front_hair(pen: Pen, who: Character) -> None:
    fringe = [(-21, 4), (-22, -8), (-17, -19), (-8, -24), (0, -25), (8, -24), (17, -19), (22, -8), (21, 4)]
    if who.hairstyle in ("long", "twintails"):
        teeth = [(17, -3), (14, -9), (9, -5), (5, -10), (0, -5), (-5, -10), (-9, -5), (-14, -9), (-17, -3)]
    elif who.hairstyle in ("short", "bun"):
        teeth = [(18, 0), (14, -10), (4, -13), (-2, -7), (-8, -12), (-14, -9), (-18, 0)]
    else:
        teeth = [(18, -2), (12, -12), (6, -6), (2, -13), (-6, -6), (-10, -12), (-18, -2)]
    pen.polygon(fringe + teeth, who.hair)
    pen.line([(-13, -16), (-5, -19), (5, -19), (13, -16)], lighter(who.hair, 0.45), 1.6)


def _accessory(pen: Pen, who: Character) -> None:
    match who.accessory:
        case "bow":
            pen.polygon([(12, -20), (4, -27), (4, -14)], who.accent)
            pen.polygon([(12, -20), (20, -27), (20, -14)], who.accent)
            pen.oval(12, -20, 2.4, 2.4, darker(who.accent, 0.8))
        case "flower":
            for petal in range(5):
                angle = petal * math.tau / 5
                pen.oval(14 + 4 * math.cos(angle), -17 + 4 * math.sin(angle), 3, 3, who.accent, 0.4)
            pen.oval(14, -17, 2.4, 2.4, (255, 240, 160), 0.4)
        case "glasses":
            for side in (-1, 1):
                ring = [(side * 7.5 + 6.2 * math.cos(a * 0.3142), 2.5 + 6.2 * math.sin(a * 0.3142)) for a in range(21)]
                pen.line(ring, (40, 40, 50), 1.2)
            pen.line([(-1.5, 2), (1.5, 2)], (40, 40, 50), 1.2)
        case "cat ears":
            for side in (-1, 1):
                pen.polygon([(side * 20, -10), (side * 21, -33), (side * 7, -23)], who.hair)
                pen.polygon([(side * 18, -16), (side * 19, -28), (side * 11, -22)], (245, 170, 180), 0.3)
        case "headband":
            pen.line([(-21, -10), (-15, -19), (-6, -23.5), (6, -23.5), (15, -19), (21, -10)], who.accent, 3.2)
        case "star":
            points = []
            for index in range(10):
                angle, radius = index * math.tau / 10 - math.pi / 2, 8.5 if index % 2 == 0 else 3.7
                points.append((13 + radius * math.cos(angle), -19 + radius * math.sin(angle)))
            pen.polygon(points, who.accent)
        case "crescent":
            outer = [(12 + 8 * math.cos(a * 0.25), -19 + 8 * math.sin(a * 0.25)) for a in range(3, 20)]
            inner = [(15 + 6 * math.cos(a * 0.25), -20 + 6 * math.sin(a * 0.25)) for a in range(18, 3, -1)]
            pen.polygon(outer + inner, who.accent)
        case "horns":
            for side in (-1, 1):
                pen.polygon([(side * 8, -21), (side * 16, -18), (side * 22, -36)], who.accent)
        case "crown":
            pen.polygon([(-12, -20), (-14, -35), (-6, -28), (0, -37), (6, -28), (14, -35), (12, -20)], who.accent)


def paint(who: Character, pose: Pose, side: int) -> Image.Image:
    """The character on a transparent RGBA square of `side` pixels."""
    pen = Pen(side, pose)
    _back_hair(pen, who)
    _body(pen, who)
    _face(pen, who, pose.expression)
    _front_hair(pen, who)
    _accessory(pen, who)
    return pen.layer
