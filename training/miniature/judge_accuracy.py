"""How well the judge reads pictures that it was not trained on."""

from __future__ import annotations

import torch
from torch import Tensor

from .autoencoder import Autoencoder
from .judge import COLOURS, PERSON_WORDS, PLACE, SCENE_WORDS, SLOTS, Judge, Reading
from .judge_examples import HELD_OUT, draw_examples
from .judge_training import degrade
from .pretraining_pictures import normalised, step_generator

NEAR = 0.1  # of two colours in OKLab: half of what parts lime from green


@torch.no_grad()
def accuracy(judge: Judge, count: int, codec: Autoencoder | None = None, seed: int = HELD_OUT) -> dict[str, float]:
    """The share of right words, of colours within `NEAR`, and of heads within 0.05 of the side.

    It is measured on `count` drawn pictures. With a codec the pictures are shown as the judge's training degrades them.
    """
    pictures, truths = draw_examples(range(seed, seed + count))
    shown = normalised(pictures)
    if codec is not None:
        shown = torch.cat(
            [degrade(part, codec, 1.0, step_generator(seed, "accuracy", i)) for i, part in enumerate(shown.split(100))]
        )
    readings = [judge.read(part.permute(0, 2, 3, 1) / 2 + 0.5) for part in shown.split(100)]
    return _shares(readings, truths)


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
