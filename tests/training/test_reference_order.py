"""Every reference gets its share of the rows all through training, though a batch holds one latent size."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anima_fast_train.training import EncodedReference
from anima_fast_train.training.batches.draw_order import ReferenceOrder, next_turn

MASK = torch.ones(1, 1, 1, 1)
weights = st.one_of(st.integers(1, 5).map(float), st.floats(0.01, 100))


def reference(weight: float = 1.0, columns: int = 1, length: int = 1) -> EncodedReference:
    return EncodedReference(torch.zeros(1, 1, 1, columns), MASK, torch.zeros(1, length, 1), weight)


@given(
    sizes=st.lists(st.tuples(weights, st.integers(1, 4), st.integers(1, 2)), min_size=1, max_size=8),
    batch_size=st.integers(1, 8),
    steps=st.integers(1, 60),
)
@settings(deadline=None, max_examples=300, derandomize=True)
def test_rows_are_in_proportion_to_weight_and_of_one_size(
    sizes: list[tuple[float, int, int]], batch_size: int, steps: int
) -> None:
    references = [reference(*size) for size in sizes]
    order = ReferenceOrder(references)
    total = sum(one.weight for one in references)
    drawn = [0] * len(references)
    for step in range(1, steps + 1):
        rows = order.draw(batch_size)
        assert len(rows) == batch_size
        assert len({(references[row].latent.shape, references[row].conditioning.layout) for row in rows}) == 1
        for row in rows:
            drawn[row] += 1
        lags = [one.weight / total * step * batch_size - had for one, had in zip(references, drawn, strict=True)]
        # One row is what whole numbers cost, and one batch is what batches of one size cost.
        in_batches = batch_size > 1 and len({size[1:] for size in sizes}) > 1
        assert max(map(abs, lags)) < 1 + (batch_size if in_batches else 0)
    assert order.drawn == drawn


def test_equal_references_take_turns() -> None:
    order = ReferenceOrder([reference(), reference(), reference()])
    assert sorted(order.draw(3)) == [0, 1, 2]
    assert sorted(order.draw(1) + order.draw(1) + order.draw(1)) == [0, 1, 2]


def test_the_order_depends_on_what_was_drawn_alone() -> None:
    # So a resumed run needs nothing else.
    references = [reference(2.0), reference(1.0, columns=2), reference(0.5, columns=2)]
    whole, resumed = ReferenceOrder(references), ReferenceOrder(references)
    for _ in range(5):
        whole.draw(2)
    resumed.drawn = list(whole.drawn)
    assert [whole.draw(2) for _ in range(6)] == [resumed.draw(2) for _ in range(6)]


@given(shares=st.lists(weights, min_size=1, max_size=10), turns=st.integers(1, 200))
@settings(deadline=None, max_examples=200, derandomize=True)
def test_nobody_is_a_whole_turn_away_from_their_share(shares: list[float], turns: int) -> None:
    had = [0] * len(shares)
    for turn in range(1, turns + 1):
        had[next_turn(shares, had)] += 1
        assert all(abs(share / sum(shares) * turn - count) < 1 for share, count in zip(shares, had, strict=True))
