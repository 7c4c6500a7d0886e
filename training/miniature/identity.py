"""Who is drawn: identities of the pretraining set, and others whose colours and accessories it never shows."""

from __future__ import annotations

import random
from dataclasses import dataclass

from . import palette
from .palette import RGB

HAIRSTYLES = ("long", "short", "twintails", "ponytail", "bun", "spiky")
CLOTHES = ("dress", "sailor uniform", "hoodie", "shirt")
ACCESSORIES = ("none", "bow", "flower", "glasses", "cat ears", "headband")
UNSEEN_ACCESSORIES = ("star", "crescent", "horns", "crown")


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


def nearest_tags(who: Character) -> tuple[str, ...]:
    """What a caption can say of a character that has no caption: its hairstyle and outfit, and the colour words nearest
    to its own. It has no word for an accessory that no caption names."""
    hair, eyes, clothes = (
        palette.nearest(colour, [shade for shade in shades if shade.has_hue]).word
        for colour, shades in ((who.hair, palette.HAIR), (who.eyes, palette.EYES), (who.clothes, palette.CLOTHES))
    )
    return f"{hair} hair", f"{who.hairstyle} hair", f"{eyes} eyes", f"{clothes} {who.outfit}"
