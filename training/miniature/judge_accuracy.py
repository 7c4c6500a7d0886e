"""How well the judge reads pictures that it was not trained on: drawn ones, and samples of the miniature."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from . import scene
from .autoencoder import Autoencoder
from .backbone import GUIDANCE, DrawnBackbone, MiniatureBackbone, sample_each
from .background import Backdrop
from .judge import COLOURS, PERSON_WORDS, PLACE, SCENE_WORDS, SLOTS, Judge, Reading, oklab
from .judge_examples import HELD_OUT, draw_examples, words_to_read
from .judge_training import degrade
from .palette import CLOTHES, EYES, HAIR, Shade
from .pretraining_pictures import normalised, step_generator
from .scene import Person

NEAR = 0.1  # of two colours in OKLab: half of what parts lime from green
CAPTIONED_SHADES = {"hair": HAIR, "eyes": EYES, "clothes": CLOTHES}
BATCH = 50


@torch.no_grad()
def accuracy(judge: Judge, count: int, codec: Autoencoder | None = None, seed: int = HELD_OUT) -> dict[str, float]:
    """The share of right words, of colours within `NEAR`, and of heads within 0.05 of the side.

    It is measured on `count` drawn pictures. With a codec the pictures are shown as the judge's training degrades them.
    """
    pictures, truths = draw_examples(range(seed, seed + count))
    shown = normalised(pictures)
    if codec is not None:
        shown = torch.cat(
            [
                degrade(part, codec, 1.0, step_generator(seed, "accuracy", i))
                for i, part in enumerate(shown.split(BATCH))
            ]
        )
    readings = [judge.read(part.permute(0, 2, 3, 1) / 2 + 0.5) for part in shown.split(BATCH)]
    return _shares(readings, truths)


@torch.no_grad()
def agreement_with_captions(
    judge: Judge, backbone: DrawnBackbone, count: int, seed: int = HELD_OUT, guidance: float = GUIDANCE
) -> dict[str, float]:
    """The share of words that the judge reads in samples of the model as the sample's caption names them.

    Both must be right for that: the model, which may not draw what it is told, and the judge. Captions are those of
    `count` scenes with one character that the model was not trained on; a colour counts as the word whose middle is
    nearest.
    """
    scenes = _lone_scenes(count, seed)
    captions = [", ".join((*scene.other_tags([who], place), *who.who.identity_tags)) for who, place in scenes]
    size = (scene.SIDE, scene.SIDE)
    found: dict[str, list[bool]] = {}
    for start in range(0, count, BATCH):
        shown = captions[start : start + BATCH]
        reading = judge.read(sample_each(backbone, shown, range(start, start + len(shown)), size, guidance=guidance))
        for row, (person, backdrop) in enumerate(scenes[start : start + BATCH]):
            for name, right in agrees(reading, row, person, backdrop).items():
                found.setdefault(name, []).append(right)
    return {name: sum(seen) / len(seen) for name, seen in found.items()}


def agrees(reading: Reading, row: int, person: Person, backdrop: Backdrop) -> dict[str, bool]:
    """Of one picture: whether each word that its caption names is the one that is read."""
    named = {name: words[0] for name, words in words_to_read([person], backdrop).items()}
    found = {
        name: reading.best(name)[row] == word
        for name, word in named.items()
        if word is not None and (name, word) != ("accessory", "none")  # which no caption names
    }
    hair, _, eyes, clothes, *_ = person.who.identity_tags
    for part, tag in (("hair", hair), ("eyes", eyes), ("clothes", clothes)):
        read = nearest_shade(reading.colours[part][row, 0], CAPTIONED_SHADES[part])
        found[f"{part} colour"] = tag.startswith(f"{read.word} ")
    return found


def _lone_scenes(count: int, seed: int) -> list[tuple[Person, Backdrop]]:
    planned = (scene.plan_scene(number) for number in itertools.count(seed))
    lone = ((people[0], backdrop) for people, backdrop in planned if len(people) == 1)
    return list(itertools.islice(lone, count))


def table(judge: Judge, backbone: MiniatureBackbone, drawn: int, sampled: int) -> str:
    """Markdown: what the judge reads rightly in pictures as drawn, in the same degraded, and in samples."""
    columns = (
        accuracy(judge, drawn),
        accuracy(judge, drawn, backbone.codec),
        agreement_with_captions(judge, backbone, sampled),
    )
    lines = ["| read | as drawn | degraded | in samples, as their captions say |", "|---|---|---|---|"]
    for name in columns[0]:
        figures = [f"{column[name]:.3f}" if name in column else "-" for column in columns]
        lines.append(f"| {name} | {' | '.join(figures)} |")
    return "\n".join(lines)


def nearest_shade(colour: Tensor, shades: tuple[Shade, ...]) -> Shade:
    """The shade whose middle is nearest to a colour [3] in OKLab."""
    middles = oklab(torch.tensor([shade.middle for shade in shades]) / 255)
    return shades[int((middles - colour).norm(dim=-1).argmin())]


def _shares(readings: list[Reading], truths: dict[str, Tensor]) -> dict[str, float]:
    somebody = truths["hairstyle"] >= 0
    found: dict[str, float] = {}
    for name in (*PERSON_WORDS, *SCENE_WORDS):
        likeliest = torch.cat([reading.words[name].argmax(-1) for reading in readings])
        if name in SCENE_WORDS:
            likeliest = likeliest[:, None].expand(-1, SLOTS)
        known = truths[name] >= 0
        found[name] = float((likeliest == truths[name])[known].float().mean())
    for name in COLOURS:
        apart = (torch.cat([reading.colours[name] for reading in readings]) - truths[name]).norm(dim=-1)
        found[f"{name} colour"] = float((apart < NEAR)[somebody].float().mean())
    place = (torch.cat([reading.place for reading in readings]) - truths[PLACE])[..., :2].norm(dim=-1)
    found[PLACE] = float((place < 0.05)[somebody].float().mean())
    return found
