"""Contexts made of two others, compared with what their tokens say."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from anima_fast_train.training.trainables.combine import merge, subtract
from anima_fast_train.training.trainables.context_file import ReferenceContext
from anima_fast_train.training.trainables.context_tokens import ContextTokens
from anima_fast_train.training.training_info import LONGEST_HISTORY, LONGEST_PROMPT, TrainingInfo


def tokens(seed: int, count: int = 3, ranges: int = 0) -> ContextTokens:
    generator = torch.Generator().manual_seed(seed)
    offsets = torch.randn(2, ranges, count, 8, generator=generator) if ranges else None
    return ContextTokens(torch.randn(2, count, 8, generator=generator), offsets)


def context(seed: int, count: int = 3, ranges: int = 0, negative: int = 0, prompt: str = "1girl") -> ReferenceContext:
    info = TrainingInfo(model_family="miniature", prompt=prompt, steps=seed, reference_count=1, thumbnail="abc")
    return ReferenceContext(tokens(seed, count, ranges), tokens(seed + 50, negative) if negative else None, info)


LEVELS = [0.05, 0.3, 0.45, 0.6, 0.95]


def test_concatenation_keeps_both_whole_at_each_level() -> None:
    one, other = context(1, 3, ranges=2), context(2, 4, ranges=3, negative=2)
    merged = merge(one, other, 0.5, "concatenate")
    for level in LEVELS:
        expected = torch.cat([one.positive.at_level(level), other.positive.at_level(level)], dim=1)
        torch.testing.assert_close(merged.positive.at_level(level), expected)
    assert merged.positive.ranges == 6
    assert torch.equal(merged.negative.tokens, other.negative.tokens)


@pytest.mark.parametrize(("weight", "shares"), [(0.0, (1, 0)), (0.25, (1, 0.5)), (0.75, (0.5, 1)), (1.0, (0, 1))])
def test_the_weight_of_a_concatenation_takes_back_the_lesser_one(weight: float, shares: tuple[float, float]) -> None:
    one, other = context(1), context(2)
    merged = merge(one, other, weight, "concatenate")
    expected = [share * each.positive.tokens for share, each in zip(shares, (one, other), strict=True)]
    torch.testing.assert_close(merged.positive.tokens, torch.cat(expected, dim=1))


@pytest.mark.parametrize("ranges", [(0, 0), (2, 0), (2, 3)])
def test_a_mean_is_the_mean_at_each_level(ranges: tuple[int, int]) -> None:
    one, other = context(1, ranges=ranges[0], negative=2), context(2, ranges=ranges[1], negative=2)
    merged = merge(one, other, 0.3, "weighted mean")
    for level in LEVELS:
        expected = 0.7 * one.positive.at_level(level) + 0.3 * other.positive.at_level(level)
        torch.testing.assert_close(merged.positive.at_level(level), expected)
    torch.testing.assert_close(merged.negative.tokens, 0.7 * one.negative.tokens + 0.3 * other.negative.tokens)


def test_a_spherical_mean_turns_evenly_and_keeps_the_norm() -> None:
    one = ContextTokens(torch.tensor([[[2.0, 0, 0, 0]]]))
    other = ContextTokens(torch.tensor([[[0, 4.0, 0, 0]]]))
    merged = merge(ReferenceContext(one), ReferenceContext(other), 1 / 3, "spherical").positive.tokens[0, 0]
    angle = math.radians(30)
    torch.testing.assert_close(merged, 2 * (4 / 3) * torch.tensor([math.cos(angle), math.sin(angle), 0, 0]))


@pytest.mark.parametrize("weight", [0.0, 1.0])
@pytest.mark.parametrize("method", ["weighted mean", "spherical"])
def test_the_ends_are_the_contexts_themselves(method: str, weight: float) -> None:
    one, other = context(1, ranges=2), context(2, ranges=2)
    merged = merge(one, other, weight, method)
    for level in LEVELS:
        torch.testing.assert_close(merged.positive.at_level(level), (one, other)[int(weight)].positive.at_level(level))


@pytest.mark.parametrize("other", [1.0, -1.0, 0.0])
def test_a_spherical_mean_of_vectors_on_one_line_is_finite(other: float) -> None:
    vector = torch.tensor([[[1.0, 2, 3, 4]]])
    pair = [ReferenceContext(ContextTokens(vector * factor)) for factor in (1.0, other)]
    merged = merge(pair[0], pair[1], 0.25, "spherical").positive.tokens
    torch.testing.assert_close(merged, vector * (0.75 + 0.25 * other))


def test_what_is_pushed_away_becomes_the_negative_prompts() -> None:
    one, other = context(1), context(2, 5)
    away = subtract(one, other, 0.5, "push away")
    assert torch.equal(away.positive.tokens, one.positive.tokens)
    torch.testing.assert_close(away.negative.tokens, 0.5 * other.positive.tokens)
    both = subtract(context(3, negative=2), other, 1.0, "push away")
    assert both.negative.count == 2 + 5


def test_vectors_are_subtracted_at_each_level() -> None:
    one, other = context(1, ranges=2), context(2)
    less = subtract(one, other, 0.5, "vectors")
    for level in LEVELS:
        expected = one.positive.at_level(level) - 0.5 * other.positive.at_level(level)
        torch.testing.assert_close(less.positive.at_level(level), expected)


def test_what_is_said_of_both_is_kept_through_the_file(tmp_path: Path) -> None:
    inner = merge(context(1, prompt="a girl"), context(2, prompt="oil painting"), 0.5, "concatenate")
    merge(inner, context(3, prompt="a girl"), 0.25, "concatenate").save(tmp_path / "merged.safetensors")
    info = ReferenceContext.load(tmp_path / "merged.safetensors").info
    assert (info.model_family, info.prompt, info.reference_count) == ("miniature", "a girl\noil painting\na girl", 3)
    said = json.loads(info.made_of)
    assert said["how"] == "concatenate, weight 0.25"
    assert said["parts"][1] | {"prompt": "a girl", "steps": "3"} == said["parts"][1]
    parts = json.loads(said["parts"][0]["made_of"])["parts"]
    assert [part["prompt"] for part in parts] == ["a girl", "oil painting"]


def test_a_record_that_is_too_long_is_shortened_not_lost(tmp_path: Path) -> None:
    long = [context(seed, prompt=f"{seed}" * (LONGEST_PROMPT - 10)) for seed in (1, 2)]
    merged = merge(*long, 0.5, "concatenate")
    assert len(merged.info.made_of) <= LONGEST_HISTORY
    assert [part["prompt"][:1] for part in json.loads(merged.info.made_of)["parts"]] == ["1", "2"]
    merged.save(tmp_path / "merged.safetensors")
    assert ReferenceContext.load(tmp_path / "merged.safetensors").info == merged.info


def test_contexts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="3 and 4 tokens in each block, expected equally many; 'concatenate'"):
        merge(context(1), context(2, 4), 0.5, "weighted mean")
    with pytest.raises(ValueError, match="3 and 4 tokens in each block"):
        subtract(context(1), context(2, 4), 0.5, "vectors")
    anima = replace(context(2), info=TrainingInfo(model_family="anima"))
    with pytest.raises(ValueError, match="are for anima with 2 blocks of width 8, expected miniature"):
        merge(context(1), anima, 0.5, "concatenate")
    narrow = ReferenceContext(ContextTokens(torch.ones(2, 3, 4)))
    with pytest.raises(ValueError, match="2 blocks of width 4, expected miniature with 2 blocks of width 8"):
        subtract(context(1), narrow, 0.5, "push away")
    large = ReferenceContext(ContextTokens(torch.ones(28, 600, 1024)))
    with pytest.raises(ValueError, match="1200 tokens in each of 28 blocks .* expected at most 134 MB"):
        merge(large, large, 0.5, "concatenate")
