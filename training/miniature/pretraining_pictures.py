"""The pictures and captions that the miniature is pretrained on, and the random numbers of each step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy
import torch
from torch import Tensor

from . import scene
from .pretraining_settings import DenoiserSettings, Report
from .prompt import PADDED_LENGTH


@dataclass(frozen=True)
class Caption:
    """The tags of a scene: those of each person's identity, and all others."""

    identities: tuple[tuple[str, ...], ...]
    others: tuple[str, ...]


def step_generator(seed: int, stage: str, step: int) -> torch.Generator:
    """The random numbers of one step. They depend on nothing before it, so a run can go on from any step to the bit."""
    mixed = numpy.random.SeedSequence([seed, step, *stage.encode()]).generate_state(2)
    return torch.Generator().manual_seed(int(mixed[0]) << 31 ^ int(mixed[1]))


def shuffled_rows(count: int, size: int, seed: int, step: int) -> Tensor:
    """The row numbers of a step's batch: every epoch shows each row at most once, in an order of its own."""
    epoch, place = divmod(step, max(1, count // size))
    order = torch.randperm(count, generator=step_generator(seed, "epoch", epoch))
    return order[place * size : (place + 1) * size]


def scene_seeds(settings: DenoiserSettings) -> range:
    """The seeds of the scenes of the run."""
    first = settings.seed * 10_000_000
    return range(first, first + settings.pictures)


def _draw(seed: int) -> numpy.ndarray:
    return numpy.asarray(scene.draw_scene(seed).picture)


def draw_pictures(settings: DenoiserSettings, report: Report) -> Tensor:
    """uint8 pictures [N,3,128,128]."""
    pictures = torch.empty(settings.pictures, 3, scene.SIDE, scene.SIDE, dtype=torch.uint8)
    with ProcessPoolExecutor() as pool:
        for number, picture in enumerate(pool.map(_draw, scene_seeds(settings), chunksize=100)):
            pictures[number] = torch.from_numpy(picture).permute(2, 0, 1)
            if number % 1000 == 0:
                report("draw", number, settings.pictures, math.nan)
    return pictures


def plan_captions(settings: DenoiserSettings) -> list[Caption]:
    """The captions of the pictures, without drawing them."""
    planned = (scene.plan_scene(seed) for seed in scene_seeds(settings))
    return [
        Caption(tuple(person.who.identity_tags for person in people), scene.other_tags(people, backdrop))
        for people, backdrop in planned
    ]


def normalised(pictures: Tensor) -> Tensor:
    """uint8 to -1..1."""
    return pictures.float() / 127.5 - 1


def tag_numbers(
    captions: Sequence[Caption], index: dict[str, int], settings: DenoiserSettings, generator: torch.Generator
) -> Tensor:
    """Tag numbers [B,32] with whole captions, whole identities and single tags dropped at random."""
    numbers = torch.full((len(captions), PADDED_LENGTH), -1)
    chances = torch.rand(len(captions), 3 + PADDED_LENGTH, generator=generator).tolist()
    for row, (caption, (whole, *rest)) in enumerate(zip(captions, chances, strict=True)):
        if whole < settings.caption_dropout:
            continue
        named = (
            tags for tags, luck in zip(caption.identities, rest[:2], strict=False) if luck >= settings.identity_dropout
        )
        tags = dict.fromkeys([*caption.others, *(tag for identity in named for tag in identity)])
        kept = [index[tag] for tag, luck in zip(tags, rest[2:], strict=False) if luck >= settings.tag_dropout]
        numbers[row, : len(kept)] = torch.tensor(kept, dtype=numbers.dtype)
    return numbers
