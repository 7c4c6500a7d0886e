"""Finds the words for a subject by asking the frozen model: those under which it predicts the masked picture best.

A denoiser classifies by its errors (Li 2023, Your Diffusion Model is Secretly a Zero-Shot Classifier, 2303.16203).
Words carry what they mean into every pose, which tokens that saw one picture do not, and leave them the rest to learn.
All words see the same noises, and only those that did well on the first ones see the others (successive halving, Karnin
2013).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from .asked_words import AskedWords
from .backbone import Backbone
from .diffusion.levels import LevelDistribution, level_at
from .loss import masked_diffusion_loss
from .references.encode import EncodedReference
from .references.subject_tags import SubjectTags

# Of a run's forward passes, a step's backward pass counted as two, that may be spent.
SHARE = 0.12
FIRST_SHARE = 0.6  # of these, on the first round
FEWEST, MOST = 2, 16  # noises of a round
MOST_NOISES = 2 * MOST  # of both
FINALISTS = 4  # of each group
# Between which shares of the schedule: below, every word predicts alike, above, it is about the composition.
LEVELS = (0.3, 0.9)
GOLDEN = 0.6180339887498949
SEED = 20_230_316

# In units of the error without a word. Words of a group that one of always fits may cost a little, since they say more
# than what shows; that the best is better than the others says that the group is about something in the picture.
MAY_COST, LEAST_LEAD = 0.03, 0.003
# A word of an optional group has to help by so many standard errors.
PROOF = 3.0


# Noises of the first round, and of the second beside them.
Rounds = tuple[int, int]


@runtime_checkable
class DescribedBackbone(Protocol):
    """A model that has tags for how subjects look."""

    subject_tags: SubjectTags


class WordSearch:
    """The fixed noises, and what each word makes of them.

    words: how each is said. references: MOST_NOISES at most are asked about. batch_size: rows at a time.
    """

    def __init__(
        self, backbone: Backbone, words: AskedWords, references: Sequence[EncodedReference], batch_size: int
    ) -> None:
        self._backbone, self._words, self._references = backbone, words, references
        self._batch_size = batch_size
        spread = (GOLDEN * torch.arange(1, MOST_NOISES + 1, dtype=torch.float64)) % 1.0
        low, high = LEVELS
        distribution = LevelDistribution("uniform", shift=backbone.level_shift)
        self._levels = level_at(low + (high - low) * spread, distribution).float()
        generator = torch.Generator().manual_seed(SEED)
        self._noises = [
            torch.randn(1, *references[number % len(references)].latent.shape[1:], generator=generator)
            for number in range(len(self._levels))
        ]

    def best(self, groups: SubjectTags, rounds: Rounds) -> list[str]:
        """The tags that fit, one of a group at most."""
        first, second = rounds
        chosen: list[str] = []
        without = self._errors(None, range(first + second))
        for group in groups:
            tags = [tag for tag in group.tags if tag in self._words.known]
            if not tags:
                continue
            errors = {tag: self._errors(tag, range(first)) for tag in tags}
            leaders = sorted(tags, key=lambda tag: float(errors[tag].mean()))[:FINALISTS]
            for tag in leaders:
                errors[tag] = torch.cat([errors[tag], self._errors(tag, range(first, first + second))])
            best = min(leaders, key=lambda tag: float(errors[tag].mean()))
            others = [errors[tag][:first].mean() for tag in tags if tag != best]
            gain = (without - errors[best]) / without.mean()
            lead = torch.stack(others).mean() - errors[best][:first].mean() if others else without.new_tensor(torch.inf)
            leads = float(lead / without[:first].mean()) >= LEAST_LEAD
            if group.optional:
                fits = float(gain.mean()) > PROOF * float(gain.std()) / len(gain) ** 0.5
            else:
                fits = float(gain.mean()) > -MAY_COST
            if leads and fits:
                chosen.append(best)
        return chosen

    @torch.no_grad()
    def _errors(self, tag: str | None, noises: range) -> Tensor:
        """The errors inside the mask [noises] under the references' prompts, without a word where tag is None."""
        found = torch.zeros(len(noises))
        for place, reference in enumerate(self._references):
            rows = [row for row, number in enumerate(noises) if number % len(self._references) == place]
            for first in range(0, len(rows), self._batch_size):
                part = rows[first : first + self._batch_size]
                found[part] = self._of_rows(reference, tag, [noises[row] for row in part]).float().cpu()
        return found

    def _of_rows(self, reference: EncodedReference, tag: str | None, numbers: Sequence[int]) -> Tensor:
        x0 = reference.latent.expand(len(numbers), *reference.latent.shape[1:])
        level = self._levels[list(numbers)].to(x0.device)
        noise = torch.cat([self._noises[number] for number in numbers]).to(x0.device)
        prompt, said = (reference.conditioning, None) if tag is None else self._words.said(reference, tag)
        x_t = self._backbone.add_noise(x0, noise, level)
        prediction = self._backbone.predict(x_t, level, prompt.expand(len(numbers)), said).float()
        return masked_diffusion_loss(prediction, self._backbone.target(x0, noise, level), reference.latent_mask)


def affordable_passes(rows: int) -> int:
    """Forward passes for a run of so many training rows, each of which costs a forward pass and twice that backward."""
    return int(SHARE * 3 * rows)


def affordable_rounds(groups: SubjectTags, passes: int) -> Rounds | None:
    """How many noises each tag sees, and how many more the finalists do; None where it would be too few."""
    tags = [group.tags for group in groups]
    count, finalists = sum(map(len, tags)), sum(min(FINALISTS, len(each)) for each in tags)
    if count == 0:
        return None
    first = min(MOST, int(FIRST_SHARE * passes / count))
    second = min(MOST, int((passes - first * (count + 1)) / (finalists + 1)))
    return (first, second) if min(first, second) >= FEWEST else None
