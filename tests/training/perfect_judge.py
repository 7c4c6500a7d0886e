"""A judge that makes no mistake: what there is to read in a scene, as a reading."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from anima_fast_train.training.miniature.judge import COLOURS, PERSON_WORDS, PLACE, WORDS, Reading, oklab
from anima_fast_train.training.miniature.judge_examples import truth
from anima_fast_train.training.miniature.scene import Scene


def perfect(drawn: Scene) -> Reading:
    """What a judge that makes no mistake reads from one scene."""
    found = truth(drawn)
    words = {
        name: functional.one_hot(torch.tensor([found[name]]).clamp(min=0), len(listed)).float()
        for name, listed in WORDS.items()
    }
    words = {name: values if name in PERSON_WORDS else values[:, 0] for name, values in words.items()}
    colours = {name: oklab(torch.tensor([found[name]]) / 255) for name in COLOURS}
    return Reading(words, colours, torch.tensor([found[PLACE]]))


def perfect_readings(scenes: Sequence[Scene]) -> Reading:
    """Of several scenes, in their order."""
    each = [perfect(drawn) for drawn in scenes]
    words = {name: torch.cat([reading.words[name] for reading in each]) for name in WORDS}
    colours = {name: torch.cat([reading.colours[name] for reading in each]) for name in COLOURS}
    return Reading(words, colours, torch.cat([reading.place for reading in each]))
