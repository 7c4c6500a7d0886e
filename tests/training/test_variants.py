"""Prompts of a reference follow its template and its caption, and training shows all of its variants alike often."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch

from anima_fast_train.training import Framing, encode_references, make_reference, train_context_tokens
from anima_fast_train.training.batches.batch import BatchSource
from anima_fast_train.training.evaluation import EvaluationGrid
from anima_fast_train.training.references.augmentation import Augmentation, ImageAugmentation
from anima_fast_train.training.references.caption import ALL_PROMPTS, LEAST_PROMPTS, CaptionOptions, draw_prompts
from anima_fast_train.training.settings import TrainingSettings

FRAMING = Framing(size=32)
MIRRORED = ImageAugmentation(flip=True, cut_paste=0.0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("templates", "caption", "prompt"),
    [
        ("1girl", "", "1girl"),
        ("1girl", "sitting", "sitting"),
        ("[filewords]", "sitting", "sitting"),
        ("a drawing of [name], [filewords]", "sitting", "a drawing of ann, sitting"),
        ("a drawing of [name], [filewords]", "", "a drawing of ann"),
        ("1girl", "[name] sitting", "ann sitting"),
        ("", "", ""),
        ("", "sitting", "sitting"),
    ],
)
def test_a_caption_takes_the_place_of_a_template_that_does_not_say_where_it_goes(
    templates: str, caption: str, prompt: str
) -> None:
    prompts = draw_prompts(CaptionOptions(templates, name="ann"), caption, 1, seeded())
    assert (prompts.plain, prompts.drawn) == (prompt, (prompt,))


def test_lines_are_templates_drawn_at_random() -> None:
    for options, caption in ((CaptionOptions("one\ntwo"), ""), (CaptionOptions("three"), "one\ntwo")):
        prompts = draw_prompts(options, caption, 1, seeded())
        assert prompts.plain == "one"
        assert set(prompts.drawn) == {"one", "two"}
        assert 20 < prompts.drawn.count("one") < 44


def test_captions_are_dropped_as_often_as_asked_for() -> None:
    dropped = draw_prompts(CaptionOptions("words", caption_dropout=0.25), "", 1, seeded())
    assert dropped.plain == "words"
    assert 8 < dropped.drawn.count("") < 24
    assert draw_prompts(CaptionOptions("words", caption_dropout=1.0), "more", 1, seeded()).drawn == ("",)


def test_many_references_share_the_prompts_that_are_encoded() -> None:
    shuffled = CaptionOptions("[filewords]", shuffle_tags=True)
    for count, drawn in ((1, ALL_PROMPTS), (4, ALL_PROMPTS // 4), (500, LEAST_PROMPTS)):
        assert len(draw_prompts(shuffled, "a, b, c", count, seeded()).drawn) == drawn


def test_a_prompt_without_chance_leaves_the_generator_alone() -> None:
    generator = seeded()
    draw_prompts(CaptionOptions("1girl"), "words", 1, generator)
    assert torch.equal(generator.get_state(), seeded().get_state())


def test_batches_show_every_variant_alike_often_with_its_own_mask(tiny: Any) -> None:
    mask = torch.zeros(32, 32)
    mask[:, :8] = 1
    reference = make_reference(mask.unsqueeze(-1).repeat(1, 1, 3), mask)
    encoded = encode_references(
        tiny, [reference], FRAMING, augmentation=Augmentation(CaptionOptions("a\nb"), MIRRORED), generator=seeded()
    )
    settings = TrainingSettings(batch_size=4, noise_pool=256)
    source = BatchSource(tiny, encoded, settings, 100, seeded())
    seen: Counter[tuple[bool, bool]] = Counter()
    for _ in range(100):
        batch = source.draw()
        for row in range(4):
            learned = batch.latent_mask[row, 0]
            assert torch.equal(learned, (batch.x0[row, 0] > 0).float()), "the mask is mirrored with its picture"
            seen[
                bool(learned[0, -1] > 0),
                torch.equal(batch.conditioning.vectors[row], tiny.encode_prompt("a").vectors[0]),
            ] += 1
    assert len(seen) == 4
    assert min(seen.values()) > 60


def test_the_evaluation_shows_a_reference_as_it_is(tiny: Any) -> None:
    reference = make_reference(torch.rand(32, 32, 3, generator=seeded()), torch.ones(32, 32))
    plain = encode_references(tiny, [reference], FRAMING, augmentation=Augmentation(CaptionOptions("a")))
    varied = encode_references(
        tiny, [reference], FRAMING, augmentation=Augmentation(CaptionOptions("a\nb", caption_dropout=0.3), MIRRORED)
    )
    assert len(varied[0].shown_as) > 8
    assert EvaluationGrid(tiny, varied, 8).before == EvaluationGrid(tiny, plain, 8).before


def test_training_with_variants_learns_and_repeats(tiny: Any) -> None:
    reference = make_reference(torch.rand(32, 32, 3, generator=seeded()), torch.ones(32, 32))
    augmentation = Augmentation(CaptionOptions("a, b, c", tag_dropout=0.3, shuffle_tags=True), MIRRORED)
    runs = []
    for seed in (1, 1, 2):
        encoded = encode_references(tiny, [reference], FRAMING, augmentation=augmentation, generator=seeded(seed))
        runs.append(train_context_tokens(tiny, encoded, TrainingSettings(steps=40, seed=seed, learning_rate="0.05")))
    assert runs[0].after.inside < runs[0].before.inside
    assert torch.equal(runs[0].trained.positive.tokens, runs[1].trained.positive.tokens)
    assert not torch.equal(runs[0].trained.positive.tokens, runs[2].trained.positive.tokens)
