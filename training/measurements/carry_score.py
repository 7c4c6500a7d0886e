"""What the judge reads in samples, as figures: identity, obedience and freedom, each beside the model without context.

All are means over samples of the same prompts and seeds. Identity is 0 where the model shows what it would have shown
anyway, 1 where it shows what true pictures of the character show. Obedience and freedom are shares of the model's own.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..miniature.identity import Character
from ..miniature.judge import Reading
from ..miniature.likeness import (
    COLOUR_PARTS,
    PARTS,
    POSE_PARTS,
    backdrop_agreement,
    chance_of,
    colour_agreement,
    decoys,
    is_nearest,
    parts_agreement,
    pose_agreement,
)
from ..miniature.pose import Pose
from .carry_prompts import Asked

DECOYS = 20
# What obedience counts alike, and the readings that each is the mean of.
OBEYED = {
    "background": ("ground", "ink"),
    "pattern": ("pattern",),
    "expression": ("expression",),
    "pose": ("arms", "head", "body"),
    "framing": ("framing",),
}


@dataclass(frozen=True)
class Seen:
    """What is read in one set of samples: equally many of each prompt, prompt by prompt.

    `named` are of the prompts of `asked_of`, `free` of the open ones; None where those were not drawn.
    """

    named: Reading
    free: Reading | None = None


def shown_parts(reading: Reading, who: Character) -> dict[str, float]:
    """How much of each part of the character is seen, 0..1."""
    agreements = {**colour_agreement(reading, who), **parts_agreement(reading, who)}
    return {part: float(values.mean()) for part, values in agreements.items()}


def identity(seen: Seen, base: Seen, truth: Seen, who: Character) -> dict[str, float]:
    """`identity`, and the same of the colours and of each other part alone: 0 as the base, 1 as in true pictures."""
    shown, before, most = (shown_parts(each.named, who) for each in (seen, base, truth))
    groups = {"identity": (*COLOUR_PARTS, *PARTS), "colours": COLOUR_PARTS, **{part: (part,) for part in PARTS}}
    found = {}
    for name, parts in groups.items():
        now, none, whole = (sum(figures[part] for part in parts) for figures in (shown, before, most))
        found[name] = (now - none) / (whole - none) if whole > none else float("nan")
    return found


def top1(seen: Seen, who: Character, seed: int) -> float:
    """The share of samples that are nearer to the character than to each of 20 others."""
    return float(is_nearest(seen.named, who, decoys(who, DECOYS, seed)).float().mean())


def seen_as_in_truth(seen: Seen, truth: Seen, who: Character) -> dict[str, float | None]:
    """PART_seen: the share of samples that show the part, of those beside which a true picture is read rightly. None
    where no true picture is."""
    found: dict[str, float | None] = {}
    for part in PARTS:
        word = getattr(who, part)
        samples = [
            shown == word
            for shown, true in zip(seen.named.best(part), truth.named.best(part), strict=True)
            if true == word
        ]
        found[f"{part}_seen"] = sum(samples) / len(samples) if samples else None
    return found


def obeyed(reading: Reading, asked: Sequence[Asked]) -> dict[str, float]:
    """How much of each thing that the prompts ask for is seen, 0..1; by the names of `OBEYED`."""
    found: dict[str, list[float]] = {}
    for each, rows in zip(asked, rows_of_prompts(reading, len(asked)), strict=True):
        agreements = {**pose_agreement(rows, each.pose), **backdrop_agreement(rows, each.backdrop)}
        for name, values in agreements.items():
            found.setdefault(name, []).append(float(values.mean()))
    means = {name: statistics.fmean(values) for name, values in found.items()}
    return {group: statistics.fmean(means[name] for name in names) for group, names in OBEYED.items()}


def obedience(seen: Seen, base: Seen, asked: Sequence[Asked]) -> dict[str, float]:
    """`obedience`, and each group of `OBEYED` as obeys_GROUP: what is obeyed over what the base obeys."""
    now, before = obeyed(seen.named, asked), obeyed(base.named, asked)
    shares = {f"obeys_{group}": now[group] / before[group] for group in OBEYED}
    return {"obedience": sum(now.values()) / sum(before.values()), **shares}


def freedom(seen: Seen, base: Seen, prompts: int, open_prompts: int) -> float:
    """How much poses vary over the seeds, over how much the base's do: the mean of three shares.

    They are the place and size of the head under prompts that name a pose, the same under those that leave it open,
    and the words of the pose under the latter.
    """
    assert seen.free is not None and base.free is not None
    shares = [
        place_spread(seen.named, prompts) / place_spread(base.named, prompts),
        place_spread(seen.free, open_prompts) / place_spread(base.free, open_prompts),
        pose_spread(seen.free, open_prompts) / pose_spread(base.free, open_prompts),
    ]
    return statistics.fmean(shares)


def place_spread(reading: Reading, prompts: int) -> float:
    """Standard deviation over the seeds of the head's place and the logarithm of its scale, as one length."""
    spreads = []
    for rows in rows_of_prompts(reading, prompts):
        place = torch.cat([rows.place[:, 0, :2], rows.place[:, 0, 2:].clamp(min=0.1).log()], dim=-1)
        spreads.append(float(place.var(dim=0).sum().sqrt()))
    return statistics.fmean(spreads)


def pose_spread(reading: Reading, prompts: int) -> float:
    """How far two seeds' words of the pose differ (total variation, 0..1), over all pairs and parts of the pose."""
    spreads = []
    for rows in rows_of_prompts(reading, prompts):
        for part in POSE_PARTS:
            spreads.append(_pairwise_variation(words_of(rows, part)))
    return statistics.fmean(spreads)


def own_pose(reading: Reading, pose: Pose) -> float:
    """How much of the reference's own pose is seen where the prompt leaves it open, 0..1."""
    return statistics.fmean(float(chance_of(reading, part, getattr(pose, part)).mean()) for part in POSE_PARTS)


def words_of(reading: Reading, part: str) -> Tensor:
    """Probabilities [B,words], of a person the left one's."""
    values = reading.words[part]
    return values[:, 0] if values.ndim == 3 else values


def rows_of_prompts(reading: Reading, prompts: int) -> list[Reading]:
    """The readings of each prompt's samples."""
    seeds = len(reading.place) // prompts
    return [reading.rows(slice(start, start + seeds)) for start in range(0, prompts * seeds, seeds)]


def _pairwise_variation(chances: Tensor) -> float:
    """[S,words] to the mean over pairs of rows of half the sum of absolute differences."""
    apart = (chances[:, None] - chances[None]).abs().sum(-1) / 2
    count = len(chances)
    return float(apart.sum()) / (count * (count - 1))
