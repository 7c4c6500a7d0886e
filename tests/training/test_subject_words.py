"""The words that a context says for its subject: which they are, that they stay words, and that a run goes on with
them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_backbone import BLOCKS, TinyBackbone

from anima_fast_train.training import EncodedReference
from anima_fast_train.training.aims import AimOptions
from anima_fast_train.training.measurements.carry_yardstick import encoded_scenes
from anima_fast_train.training.miniature import palette, scene
from anima_fast_train.training.miniature.backbone import MiniatureBackbone
from anima_fast_train.training.miniature.background import draw_backdrop
from anima_fast_train.training.miniature.identity import draw_character
from anima_fast_train.training.miniature.pose import draw_pose
from anima_fast_train.training.miniature.scene import Person
from anima_fast_train.training.references.augmentation import ImageAugmentation
from anima_fast_train.training.references.subject_tags import TagGroup
from anima_fast_train.training.reports.summary import describe, hints
from anima_fast_train.training.resuming.run_state import CheckpointPlan, TrainingState
from anima_fast_train.training.settings import TrainingSettings
from anima_fast_train.training.subject_words import MOST_NAMED, named_by_all, words_beside_prompts, words_in_prompts
from anima_fast_train.training.train_context import context_trainer, train_context_tokens
from anima_fast_train.training.trainables.context_file import ReferenceContext
from anima_fast_train.training.word_search import affordable_passes

MakeReference = Callable[..., EncodedReference]
SETTINGS = TrainingSettings(steps=12, num_tokens=3, learning_rate="0.1", batch_size=4, noise_pool=16, evaluations=2)
COLOURS = TagGroup(tuple(f"{shade.word} hair" for shade in palette.HAIR))


class DescribedTiny(TinyBackbone):
    """Knows tags, of which the first three letters count; one of them it cannot read."""

    subject_tags = (TagGroup(("abc", "xyz", "mno", "---")), TagGroup(("rst", "uvw"), optional=True))

    def encode_prompt(self, prompt: str) -> Any:
        return super().encode_prompt("" if prompt == "---" else prompt)


@pytest.mark.parametrize("find", [words_beside_prompts, words_in_prompts])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_model_finds_the_colour_of_the_hair(
    miniature: MiniatureBackbone, seed: int, find: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(miniature, "subject_tags", (COLOURS,))
    rng = random.Random(seed)
    who = draw_character(rng)
    drawn = scene.render((Person(who, draw_pose(rng, "portrait")),), draw_backdrop(rng, "plain"))
    shown = encoded_scenes(miniature, [drawn], ImageAugmentation(cut_paste=0.0))
    assert find(miniature, shown, TrainingSettings(steps=100)) == who.identity_tags[0]


def test_what_the_prompt_names_is_said_and_not_looked_for(encoded: MakeReference) -> None:
    tiny = DescribedTiny()
    tiny.subject_tags = (TagGroup(("red hair", "blue hair")), TagGroup(("blue eyes", "green eyes")))
    shown = replace(encoded(), caption="1girl, Red_hair, gold eyes, waving")
    assert words_beside_prompts(tiny, [shown], SETTINGS) == "red hair, gold eyes"
    assert tiny.calls == 0, "a subject has one kind of eyes"
    passing = replace(encoded(), caption="closed eyes, holding hat, no shoes, floating hair, hair ribbon, _")
    assert named_by_all([passing]) == ["hair ribbon"], "what is so for a moment is not the subject's"
    many = replace(encoded(), caption=", ".join(f"{number} ribbon" for number in range(1000)))
    assert len(named_by_all([many])) == MOST_NAMED
    other = replace(encoded(), caption="gold eyes, hat")
    assert named_by_all([shown, other]) == ["gold eyes"]


def test_own_words_none_and_runs_that_are_too_short(encoded: MakeReference) -> None:
    tiny = DescribedTiny()
    assert words_beside_prompts(tiny, [encoded()], replace(SETTINGS, subject_words=" silver hair ,, cape")) == (
        "silver hair, cape"
    )
    assert words_beside_prompts(tiny, [encoded()], replace(SETTINGS, subject_words=" ")) == ""
    assert words_beside_prompts(tiny, [encoded()], replace(SETTINGS, steps=1)) == ""
    assert tiny.calls == 0
    with pytest.raises(ValueError, match=r"subject_words is '---', expected words that the model knows"):
        train_context_tokens(tiny, [encoded()], replace(SETTINGS, subject_words="---"))
    of_one_picture = AimOptions("this picture, most detail")
    assert of_one_picture.settings(SETTINGS).subject_words == ""
    assert of_one_picture.settings(replace(SETTINGS, subject_words="cape")).subject_words == "cape"


def test_a_search_costs_what_it_may(encoded: MakeReference) -> None:
    tiny, rows = DescribedTiny(), []
    predict = tiny.predict
    tiny.predict = lambda x_t, *rest: rows.append(len(x_t)) or predict(x_t, *rest)  # type: ignore[method-assign]
    settings = replace(SETTINGS, steps=30)
    words = words_beside_prompts(tiny, [encoded(), encoded(seed=1)], settings)
    assert words in {
        "",
        "abc",
        "xyz",
        "mno",
        *(f"{one}, {two}" for one in ("abc", "xyz", "mno") for two in ("rst", "uvw")),
    }
    assert 0 < sum(rows) <= affordable_passes(30 * 4)
    assert max(rows) <= SETTINGS.batch_size
    result = train_context_tokens(DescribedTiny(), [encoded(), encoded(seed=1)], settings)
    assert result.passes is not None and result.passes.asking == sum(rows)
    assert f"{sum(rows)} to find words" in describe(result)


def said(tiny: TinyBackbone, encoded: MakeReference, **changes: Any) -> ReferenceContext:
    settings = replace(SETTINGS, subject_words="abc", **changes)
    trained: ReferenceContext = train_context_tokens(tiny, [encoded()], settings).trained
    return trained


@pytest.mark.parametrize("changes", [{}, {"negative_tokens": 2}, {"time_ranges": 3}, {"ema": 0.9, "per_block": False}])
def test_words_stay_what_they_are(
    tiny: TinyBackbone, encoded: MakeReference, tmp_path: Path, changes: dict[str, Any]
) -> None:
    words = tiny.encode_prompt("abc").vectors[0, :3]
    said(tiny, encoded, **changes).save(tmp_path / "context.safetensors")
    context = ReferenceContext.load(tmp_path / "context.safetensors")
    assert (context.info.words, context.info.word_tokens, context.positive.count) == ("abc", 3, 6)
    for level in (0.1, 0.9):
        spoken = context.positive.at_level(level)[:, -3:]
        assert torch.equal(spoken, words.expand(BLOCKS, -1, -1))
    assert "3 in each of 2 blocks" in context.summary() and context.summary().endswith("beside them it says: abc")
    assert context.negative is None or context.negative.count == 2


def test_the_words_themselves_may_act_outside_the_mask(tiny: TinyBackbone, encoded: MakeReference) -> None:
    """Prior preservation holds the model to what it draws with the words: else the tokens would unsay them."""
    settings = replace(SETTINGS, subject_words="abc")
    trainer = context_trainer(tiny, [encoded()], settings)
    batch = trainer.batches.draw()
    words = tiny.encode_prompt("abc").vectors[0, :3].expand(BLOCKS, -1, -1)
    x_t = tiny.add_noise(batch.x0, batch.noise, batch.level)
    assert batch.base is not None
    torch.testing.assert_close(batch.base, tiny.predict(x_t, batch.level, batch.conditioning, words))
    assert not torch.allclose(batch.base, tiny.predict(x_t, batch.level, batch.conditioning))
    plain = context_trainer(tiny, [encoded()], replace(settings, subject_words=""))
    assert trainer.grid.before == plain.grid.before, "a run is judged beside the model without a context"


def test_a_run_goes_on_with_the_words_that_it_found(encoded: MakeReference, tmp_path: Path) -> None:
    settings, path = replace(SETTINGS, steps=30), tmp_path / "checkpoint.safetensors"
    whole = train_context_tokens(DescribedTiny(), [encoded()], settings).trained
    assert whole.info.words
    stopping = CheckpointPlan(path, 100)
    steps: list[int] = []

    def enough() -> bool:
        steps.append(1)
        return len(steps) == 11

    train_context_tokens(DescribedTiny(), [encoded()], settings, checkpoints=stopping, finish=enough)
    state = TrainingState.load(path)
    assert state.record["subject_words"] == whole.info.words
    resumed = train_context_tokens(DescribedTiny(), [encoded()], settings, resume=state)
    assert resumed.passes is not None and resumed.passes.asking == 0
    for name, tensor in whole.tensors().items():
        assert torch.equal(tensor, resumed.trained.tensors()[name])
    state.record["subject_words"] = 7
    with pytest.raises(ValueError, match=r"cannot resume: in the checkpoint subject_words is 7, expected"):
        train_context_tokens(DescribedTiny(), [encoded()], settings, resume=state)


def test_a_training_that_begins_at_a_context_keeps_its_words(tiny: TinyBackbone, encoded: MakeReference) -> None:
    first = said(tiny, encoded)
    again = train_context_tokens(tiny, [encoded()], SETTINGS, begin=first).trained
    assert (again.info.words, again.info.word_tokens, again.positive.count) == ("abc", 3, 6)
    assert torch.equal(again.positive.tokens[:, -3:], first.positive.tokens[:, -3:])
    assert not torch.equal(again.positive.tokens[:, :3], first.positive.tokens[:, :3])
    changed = replace(first, positive=first.positive.scaled(1.0, [1.0, 0.5]))
    learned = train_context_tokens(tiny, [encoded()], SETTINGS, begin=changed).trained
    assert (learned.info.words, learned.positive.count) == ("", 6), "vectors that are no words any more learn"


def test_a_prompt_may_name_what_the_context_says(tiny: TinyBackbone, encoded: MakeReference) -> None:
    shown = replace(encoded(), caption="red hair, waving")
    carried = train_context_tokens(tiny, [shown], SETTINGS)
    assert carried.trained.info.words == "red hair"
    assert not any("names 'red hair'" in hint for hint in hints(carried))
    left_out = train_context_tokens(tiny, [shown], replace(SETTINGS, subject_words=""))
    assert any("names 'red hair'" in hint for hint in hints(left_out))
