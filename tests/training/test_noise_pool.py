"""The pool holds what the model itself predicts, covers all noise levels, and is drawn from evenly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anima_fast_train.training import EncodedReference
from anima_fast_train.training.batches.noise_pool import (
    automatic_pool_size,
    draw_entries,
    make_pools,
    pool_sizes,
    spread_augmented,
)
from anima_fast_train.training.diffusion.levels import LevelDistribution

MakeReference = Callable[..., EncodedReference]
UNIFORM = LevelDistribution("uniform")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_base_predictions_are_those_of_the_model_without_tokens(tiny: Any, encoded: MakeReference) -> None:
    for reference in (encoded(), encoded(five=True)):
        (pool,) = make_pools(tiny, [reference], [5], UNIFORM, seeded(), batch_size=2)
        assert len(pool) == 5
        assert pool.base is not None and pool.base.shape == pool.noise.shape == (5, *reference.latent.shape[1:])
        for level, noise, base in zip(pool.level, pool.noise, pool.base, strict=True):
            x_t = (1 - level) * reference.latent + level * noise
            torch.testing.assert_close(tiny.predict(x_t, level[None], reference.conditioning)[0], base)


def test_each_base_prediction_belongs_to_the_view_that_its_entry_shows(tiny: Any, encoded: MakeReference) -> None:
    plain = encoded()
    (view,) = plain.shown_as
    varied = replace(
        plain, augmented=(view, replace(view, latent=view.latent.flip(-1), conditioning=tiny.encode_prompt("xyz")))
    )
    (pool,) = make_pools(tiny, [varied], [6], UNIFORM, seeded(), batch_size=4)
    assert sorted(pool.shown.tolist()) == [0, 0, 0, 1, 1, 1]
    assert pool.base is not None
    for level, noise, base, number in zip(pool.level, pool.noise, pool.base, pool.shown.tolist(), strict=True):
        shown = varied.shown_as[number]
        torch.testing.assert_close(
            tiny.predict((1 - level) * shown.latent + level * noise, level[None], shown.conditioning)[0], base
        )


def test_without_prior_preservation_the_model_is_not_asked(tiny: Any, encoded: MakeReference) -> None:
    asked, unasked = (
        make_pools(tiny, [encoded()], [4], UNIFORM, seeded(), 4, with_base=base)[0] for base in (True, False)
    )
    assert tiny.calls == 1
    assert unasked.base is None
    assert torch.equal(asked.noise, unasked.noise), "so that turning it off changes nothing else"
    assert torch.equal(asked.level, unasked.level)


def test_noise_comes_from_the_generator(tiny: Any, encoded: MakeReference) -> None:
    one, same, other = (
        make_pools(tiny, [encoded()], [4], UNIFORM, seeded(seed), 4, False)[0].noise for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.isclose(one, other).any()
    assert len({tuple(noise.flatten().tolist()) for noise in one}) == 4


@pytest.mark.parametrize("distribution", ["uniform", "logit_normal"])
def test_levels_rise_and_cover_the_distribution(tiny: Any, encoded: MakeReference, distribution: Any) -> None:
    settings = LevelDistribution(distribution, shift=3.0)
    (pool,) = make_pools(tiny, [encoded()], [100], settings, seeded(), 4, with_base=False)
    assert (pool.level.diff() > 0).all()
    assert ((pool.level > 0) & (pool.level < 1)).all()
    assert float(pool.level.median()) == pytest.approx(0.75, abs=0.01), "the shift of 3 moves the middle there"


def test_many_references_with_one_entry_each_cover_all_levels_together(tiny: Any, encoded: MakeReference) -> None:
    pools = make_pools(tiny, [encoded()] * 10, [1] * 10, UNIFORM, seeded(), 4, with_base=False)
    torch.testing.assert_close(torch.cat([pool.level for pool in pools]), torch.arange(10) / 10 + 0.05)


def test_entries_are_shared_out_by_weight_with_at_least_one_each(encoded: MakeReference) -> None:
    references = [encoded(weight=weight) for weight in (3.0, 1.0, 0.001)]
    assert pool_sizes(64, references) == [48, 16, 1]
    assert pool_sizes(1, references) == [1, 1, 1]


@given(pool=st.integers(1, 300), count=st.integers(1, 16), stratified=st.booleans(), seed=st.integers(0, 1000))
def test_drawn_entries_lie_in_the_pool_and_stratified_ones_in_their_parts(
    pool: int, count: int, stratified: bool, seed: int
) -> None:
    drawn = draw_entries(pool, count, stratified, seeded(seed))
    assert drawn.shape == (count,)
    assert ((drawn >= 0) & (drawn < pool)).all()
    if stratified:
        for part, entry in enumerate(drawn.tolist()):
            assert part * pool / count - 1 < entry < (part + 1) * pool / count + 1e-3


def test_every_entry_is_drawn_equally_often() -> None:
    generator = seeded()
    drawn = torch.cat([draw_entries(8, 4, True, generator) for _ in range(2000)])
    assert drawn.bincount(minlength=8).sub(1000).abs().max() < 150


@given(shown_as=st.integers(1, 9), size=st.integers(1, 60))
def test_views_are_spread_evenly(shown_as: int, size: int) -> None:
    counts = spread_augmented(shown_as, size, seeded()).bincount(minlength=shown_as)
    assert int(counts.sum()) == size
    assert int(counts.max() - counts.min()) <= 1


@given(rows=st.integers(1, 10**6))
def test_the_pool_costs_less_than_a_third_of_a_run_that_is_not_tiny(rows: int) -> None:
    entries = automatic_pool_size(rows)
    assert 16 <= entries <= 1024
    if rows >= 40:
        assert entries <= 2 * rows / 3
