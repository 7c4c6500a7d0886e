"""A run finds its rate by itself, in units that no model decides, and leaves nothing behind."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from small_backbone import TinyBackbone, tiny_reference
from torch import Tensor

from anima_fast_train.training import EncodedReference, TrainingSettings, train_context_tokens
from anima_fast_train.training.conditioning import Conditioning
from anima_fast_train.training.rate_search import STEPS, turn_of
from anima_fast_train.training.train_context import context_trainer
from anima_fast_train.training.trainables.placed_tokens import PlacedTokens, placed

SETTINGS = TrainingSettings(steps=40, num_tokens=3, batch_size=3, noise_pool=32, evaluations=2)


class OtherUnits(TinyBackbone):
    """The same model with its prompt vectors multiplied and what reads them divided by a scale."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.query, self.value = self.query / scale, self.value / scale

    def encode_prompt(self, prompt: str) -> Conditioning:
        conditioning = super().encode_prompt(prompt)
        return replace(conditioning, vectors=conditioning.vectors * self.scale)


def reference(backbone: TinyBackbone, **more: Any) -> EncodedReference:
    return tiny_reference(backbone, **more)


@pytest.mark.parametrize("scale", [0.01, 0.1, 10.0, 100.0])
@pytest.mark.parametrize("norm", ["prompt", "unbounded"])
def test_nothing_depends_on_the_units_of_the_model(scale: float, norm: Any) -> None:
    settings = replace(SETTINGS, token_norm=norm)
    plain, other = (
        train_context_tokens(backbone, [reference(backbone)], settings)
        for backbone in (TinyBackbone(), OtherUnits(scale))
    )
    assert other.found_rate.rate == pytest.approx(plain.found_rate.rate)
    assert other.after.inside == pytest.approx(plain.after.inside, rel=0.01)
    assert other.after.leak == pytest.approx(plain.after.leak, rel=0.01)
    torch.testing.assert_close(
        other.trained.positive.tokens / scale, plain.trained.positive.tokens, rtol=0.01, atol=0.01
    )


def test_raw_units_do_depend_on_them() -> None:
    """As version 0.1 trained, to show that the test above can fail."""
    settings = replace(SETTINGS, token_norm="raw", learning_rate="0.3")
    ends = [train_context_tokens(b, [reference(b)], settings).after.inside for b in (TinyBackbone(), OtherUnits(100.0))]
    assert ends[1] > 1.05 * ends[0]


def test_the_search_leaves_no_trace() -> None:
    """A run that is told the rate which another one found ends in the same tokens."""
    backbone = TinyBackbone()
    found = train_context_tokens(backbone, [reference(backbone)], SETTINGS)
    assert 0 < found.found_rate.steps <= STEPS
    told = replace(SETTINGS, learning_rate=repr(found.found_rate.rate))
    again = train_context_tokens(backbone, [reference(backbone)], told)
    assert again.found_rate.steps == 0
    assert torch.equal(found.trained.positive.tokens, again.trained.positive.tokens)
    assert found.history.learning_rates == again.history.learning_rates


class Steep(TinyBackbone):
    """Answers tokens a thousand times as strongly."""

    def predict(
        self, x_t: Tensor, level: Tensor, conditioning: Conditioning, trained: PlacedTokens | None = None
    ) -> Tensor:
        return super().predict(x_t, level, conditioning, placed(trained).each(lambda tokens: 1000 * tokens))


def test_a_model_that_answers_strongly_gets_a_small_rate() -> None:
    rates = []
    for backbone in (TinyBackbone(), Steep()):
        settings = replace(SETTINGS, init_std=1e-6, token_norm="unbounded")
        rates.append(train_context_tokens(backbone, [reference(backbone)], settings).found_rate.rate)
    assert rates[1] < rates[0] / 20


@pytest.mark.parametrize(
    ("losses", "turn"),
    [
        ([1.0, 0.9, 0.8, 0.85, 1.2], 2),
        ([1.0, 0.9, 0.80, 0.81, 0.805, 0.9], 4),
        ([1.0, 0.9, 0.8, 0.7], 3),
        ([1.0, 1.3], 1),
        ([1.0, 0.5, math.nan], 1),
        ([1.0], 1),
        ([math.nan], 1),
    ],
)
def test_the_turn_is_where_the_loss_stops_falling(losses: list[float], turn: int) -> None:
    assert turn_of(losses) == turn


def test_the_trial_set_is_the_same_each_time_and_draws_nothing() -> None:
    backbone = TinyBackbone()
    trainer = context_trainer(backbone, [reference(backbone), reference(backbone, seed=2)], SETTINGS)
    state = trainer.generator.get_state()
    first, second = trainer.batches.trial(), trainer.batches.trial()
    assert torch.equal(trainer.generator.get_state(), state)
    assert trainer.batches.order.drawn == [0, 0]
    assert sum(len(batch.x0) for batch in first) == 4
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one.noise, other.noise) and torch.equal(one.level, other.level)
    levels = torch.cat([batch.level for batch in first])
    assert float(levels.max() - levels.min()) > 0.4


def test_no_token_is_longer_than_a_prompt_vector() -> None:
    backbone = OtherUnits(10.0)
    trained = train_context_tokens(backbone, [reference(backbone)], replace(SETTINGS, learning_rate="0.5")).trained
    vectors = backbone.encode_prompt("ab").vectors[0, :2]
    longest = float(trained.positive.tokens.norm(dim=-1).max())
    assert longest <= float(vectors.norm(dim=-1).max()) * 1.001
    free = train_context_tokens(
        backbone, [reference(backbone)], replace(SETTINGS, learning_rate="0.5", token_norm="unbounded")
    ).trained
    assert float(free.positive.tokens.norm(dim=-1).max()) > longest
