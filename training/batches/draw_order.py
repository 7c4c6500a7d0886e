"""Decides which references a step draws: in proportion to their weights, and of one latent size, since a batch has
one."""

from __future__ import annotations

from collections.abc import Sequence

from ..references.encode import EncodedReference


class ReferenceOrder:
    """Gives each step the rows that keep every reference within one draw of its share, at any time of the run.

    `drawn` counts the rows that each reference has had; it is all there is to save for a resume.
    """

    def __init__(self, references: Sequence[EncodedReference]) -> None:
        self._weights = [reference.weight for reference in references]
        self.drawn = [0] * len(references)
        groups: dict[tuple[object, ...], list[int]] = {}
        for number, reference in enumerate(references):
            # The prompts of one batch must be alike too.
            layout = (*reference.latent.shape[1:], reference.conditioning.layout)
            groups.setdefault(layout, []).append(number)
        self._groups = list(groups.values())

    def draw(self, batch_size: int) -> list[int]:
        """The numbers of the references of the next batch, all of one latent size."""
        members = list(range(len(self.drawn)))
        if batch_size > 1 and len(self._groups) > 1:
            members = self._groups[self._next_group(batch_size)]
        rows = []
        for _ in range(batch_size):
            turn = next_turn([self._weights[number] for number in members], [self.drawn[number] for number in members])
            self.drawn[members[turn]] += 1
            rows.append(members[turn])
        return sorted(rows)

    def alike(self, number: int) -> list[int]:
        """The references that a batch with this one may hold, itself among them."""
        return next(members for members in self._groups if number in members)

    def _next_group(self, batch_size: int) -> int:
        weights = [sum(self._weights[number] for number in group) for group in self._groups]
        batches = [sum(self.drawn[number] for number in group) / batch_size for group in self._groups]
        return next_turn(weights, batches)


def next_turn(weights: Sequence[float], turns: Sequence[float]) -> int:
    """Whose turn it is of those that have had `turns`, so that at any time nobody is a whole turn away from their
    share.

    Among those that are due, the one whose lag would first come near a whole turn (Tijdeman 1980, the chairman
    assignment problem). Always giving the turn to whoever lags furthest is simpler, but lags of up to 1.26 turns were
    seen.
    """
    count = len(weights)
    if count == 1:
        return 0
    total, now = sum(weights), sum(turns) + 1
    shares = [weight / total for weight in weights]
    slack = 1 / (2 * count - 2)
    lags = [share * now - had for share, had in zip(shares, turns, strict=True)]
    due = [number for number in range(count) if lags[number] >= slack - 1e-9] or [
        max(range(count), key=lags.__getitem__)
    ]
    return min(due, key=lambda number: (turns[number] + 1 - slack) / shares[number])
