"""A training goes on from a context: with its tokens, and with what it was trained with before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_backbone import BLOCKS, WIDTH, TinyBackbone

from anima_fast_train.training import EncodedReference
from anima_fast_train.training.settings import TrainingSettings
from anima_fast_train.training.train_context import context_trainer, train_context_tokens
from anima_fast_train.training.trainables.context_file import ReferenceContext
from anima_fast_train.training.trainables.context_tokens import ContextTokens
from anima_fast_train.training.training_info import MOST_EARLIER, TrainingInfo

SETTINGS = TrainingSettings(
    steps=12, num_tokens=3, learning_rate="0.1", batch_size=4, noise_pool=16, evaluations=2, token_norm="unbounded"
)
MakeReference = Callable[..., EncodedReference]


def begun(
    tiny: TinyBackbone, encoded: MakeReference, begin: ReferenceContext, **changes: object
) -> tuple[ReferenceContext, TrainingSettings]:
    """What a run hands on that ends before its first step, and its settings."""
    trainer = context_trainer(tiny, [encoded()], replace(SETTINGS, **changes), begin)
    return trainer.export(trainer.best.kept, 0), trainer.settings


def timed(positive_ranges: int, negative_ranges: int) -> ReferenceContext:
    generator = torch.Generator().manual_seed(3)
    parts = [
        ContextTokens(
            torch.randn(BLOCKS, count, WIDTH, generator=generator),
            torch.randn(BLOCKS, ranges, count, WIDTH, generator=generator) if ranges else None,
        )
        for count, ranges in ((3, positive_ranges), (2, negative_ranges))
    ]
    return ReferenceContext(*parts, TrainingInfo(model_family="tiny"))


@pytest.mark.parametrize("norm", ["prompt", "unbounded", "raw"])
def test_it_begins_at_the_tokens_of_the_context(tiny: TinyBackbone, encoded: MakeReference, norm: str) -> None:
    first = train_context_tokens(tiny, [encoded()], SETTINGS).trained
    again, settings = begun(tiny, encoded, first, num_tokens=7, token_norm=norm)
    assert settings.num_tokens == 3
    assert torch.allclose(again.positive.tokens, first.positive.tokens, atol=1e-6)


@pytest.mark.parametrize(("ranges", "negative_ranges"), [(0, 0), (4, 4), (2, 0), (2, 3)])
def test_offsets_and_negative_tokens_come_along(
    tiny: TinyBackbone, encoded: MakeReference, ranges: int, negative_ranges: int
) -> None:
    context = timed(ranges, negative_ranges)
    again, settings = begun(tiny, encoded, context)
    assert settings.negative_tokens == 2
    for part, source in ((again.positive, context.positive), (again.negative, context.negative)):
        for level in (0.0, 0.3, 0.49, 0.7, 1.0):
            assert torch.allclose(part.at_level(level), source.at_level(level), atol=1e-6)


def test_more_steps_learn_more(tiny: TinyBackbone, encoded: MakeReference) -> None:
    first = train_context_tokens(tiny, [encoded()], SETTINGS)
    second = train_context_tokens(tiny, [encoded()], SETTINGS, begin=first.trained)
    assert second.after.inside < 0.98 * first.after.inside
    assert second.before.inside == first.before.inside


def test_the_new_context_says_what_came_before(tiny: TinyBackbone, encoded: MakeReference, tmp_path: Path) -> None:
    first = train_context_tokens(tiny, [encoded()], SETTINGS).trained
    second = train_context_tokens(tiny, [encoded()], replace(SETTINGS, steps=3, seed=8), begin=first).trained
    third = train_context_tokens(tiny, [encoded()], replace(SETTINGS, steps=2), begin=second).trained
    third.save(tmp_path / "a.safetensors")
    info = ReferenceContext.load(tmp_path / "a.safetensors").info
    assert info.steps == 2
    assert [(said["steps"], said["seed"]) for said in info.earlier.values()] == [(12, 0), (3, 8)]
    assert info.earlier["1"]["prompt"] == "ab"


def test_the_oldest_of_many_trainings_are_forgotten() -> None:
    info = TrainingInfo(steps=0, prompt="x" * 99_999, learning_rate="0.1:100," * 2000)
    for steps in range(1, 60):
        info = replace(info, earlier=info.trainings(), steps=steps)
    assert 1 < len(info.earlier) <= MOST_EARLIER
    assert list(info.earlier.values())[-1]["steps"] == 58
    ReferenceContext(ContextTokens(torch.zeros(1, 1, 1)), info=info).to_bytes()


def test_shared_tokens_stay_apart_where_they_are(tiny: TinyBackbone, encoded: MakeReference) -> None:
    again, settings = begun(tiny, encoded, timed(0, 0), per_block=False)
    assert settings.per_block
    alike = ContextTokens(torch.ones(BLOCKS, 2, WIDTH))
    again, settings = begun(tiny, encoded, ReferenceContext(alike, info=TrainingInfo()), per_block=False)
    assert not settings.per_block
    assert torch.allclose(again.positive.tokens, alike.tokens)


def test_what_does_not_fit_is_refused(tiny: TinyBackbone, encoded: MakeReference) -> None:
    other = ReferenceContext(ContextTokens(torch.ones(5, 2, WIDTH)))
    with pytest.raises(ValueError, match=r"with 5 blocks of width 6, expected tiny with 2 blocks of width 6"):
        begun(tiny, encoded, other)
    with pytest.raises(ValueError, match=r"init_text is 'hair' and a start_context came, expected one of them"):
        begun(tiny, encoded, timed(0, 0), init_text="hair")


def test_the_file_says_how_each_picture_was_learned(tiny: TinyBackbone, encoded: MakeReference) -> None:
    pictures = [encoded(weight=2.0), *(replace(encoded(), caption="x" * 30_000, name="b" * 500) for _ in range(2))]
    info = train_context_tokens(tiny, pictures, replace(SETTINGS, steps=1, learning_rate="auto")).trained.info
    assert info.pictures["1"] == {"name": "reference", "caption": "ab", "width": 64, "height": 48, "weight": 2.0}
    assert [len(said["caption"]) for said in info.pictures.values()] == [2, 30_000, 9998]
    assert len(info.pictures["2"]["name"]) == 100
    assert info.found_rate is not None and info.found_rate > 0
    assert train_context_tokens(tiny, [encoded()], replace(SETTINGS, steps=1)).trained.info.found_rate is None
