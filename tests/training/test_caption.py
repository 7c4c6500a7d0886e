"""That prompts of a training step follow template, tags and chances, and that a seed repeats them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anima_fast_train.training.references.caption import (
    CaptionOptions,
    draw_caption,
    fill_template,
    join_captions,
    parse_templates,
)

TAGS = "1girl, red hair, school uniform, smile"


def draws(options: CaptionOptions, count: int, caption: str = TAGS, seed: int = 0) -> list[str]:
    generator = torch.Generator().manual_seed(seed)
    return [draw_caption(options, caption, generator) for _ in range(count)]


def test_a_template_takes_name_and_caption() -> None:
    options = CaptionOptions(templates="a picture of [name], [filewords]", name="mira")
    assert draws(options, 1) == [f"a picture of mira, {TAGS}"]
    assert not options.is_random


@pytest.mark.parametrize(
    ("template", "name", "caption", "expected"),
    [
        ("[name], [filewords]", "mira", "", "mira"),
        ("[name], [filewords]", "", "smile", "smile"),
        ("[filewords], by [name]", "mira", "", "by mira"),
        ("A girl.  Two spaces,no tags", "", "smile", "A girl.  Two spaces,no tags"),
        ("", "mira", "smile", ""),
    ],
)
def test_an_empty_word_leaves_no_stray_comma(template: str, name: str, caption: str, expected: str) -> None:
    assert fill_template(template, name, caption) == expected


def test_every_line_is_a_template_and_all_are_drawn_about_equally() -> None:
    options = CaptionOptions(templates="a photo of [filewords]\n\n  a painting of [filewords]  \n[filewords]\n")
    assert options.is_random
    drawn = draws(options, 600)
    counts = [drawn.count(line.replace("[filewords]", TAGS)) for line in parse_templates(options.templates)]
    assert sum(counts) == 600
    assert min(counts) > 150


@pytest.mark.parametrize("text", ["", "  \n \n"])
def test_an_empty_text_is_the_empty_prompt(text: str) -> None:
    assert draws(CaptionOptions(templates=text), 3) == ["", "", ""]


def test_shuffled_tags_are_the_same_tags_in_other_orders() -> None:
    drawn = draws(CaptionOptions(templates="photo, [filewords]", shuffle_tags=True), 50)
    assert all(sorted(prompt.split(", ")) == sorted([*TAGS.split(", "), "photo"]) for prompt in drawn)
    assert all(prompt.startswith("photo, ") for prompt in drawn)
    assert len(set(drawn)) > 10


def test_a_template_without_filewords_is_itself_augmented() -> None:
    drawn = draws(CaptionOptions(templates=TAGS, shuffle_tags=True), 50, caption="not used")
    assert len(set(drawn)) > 10
    assert all(sorted(prompt.split(", ")) == sorted(TAGS.split(", ")) for prompt in drawn)


def test_tag_dropout_drops_its_share_of_tags_in_order() -> None:
    drawn = draws(CaptionOptions(tag_dropout=0.25), 1000)
    kept = sum(len(prompt.split(", ")) for prompt in drawn if prompt)
    assert kept / 4000 == pytest.approx(0.75, abs=0.03)
    order = TAGS.split(", ").index
    for places in ([order(tag) for tag in prompt.split(", ")] for prompt in drawn if prompt):
        assert places == sorted(places)
    assert draws(CaptionOptions(tag_dropout=1.0), 3) == ["", "", ""]


def test_caption_dropout_empties_its_share_of_prompts() -> None:
    drawn = draws(CaptionOptions(caption_dropout=0.3), 1000)
    assert drawn.count("") / 1000 == pytest.approx(0.3, abs=0.05)
    assert draws(CaptionOptions(caption_dropout=1.0), 100) == [""] * 100
    assert draws(CaptionOptions(caption_dropout=0.0), 100) == [TAGS] * 100


def test_a_seed_repeats_the_prompts_and_another_does_not() -> None:
    options = CaptionOptions(
        templates="[filewords]\nart, [filewords]", shuffle_tags=True, tag_dropout=0.2, caption_dropout=0.1
    )
    assert draws(options, 30, seed=4) == draws(options, 30, seed=4)
    assert draws(options, 30, seed=4) != draws(options, 30, seed=5)


@given(
    templates=st.text(),
    caption=st.text(),
    shuffle=st.booleans(),
    tags=st.floats(0, 1),
    empty=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_any_text_gives_a_prompt(
    templates: str, caption: str, shuffle: bool, tags: float, empty: float, seed: int
) -> None:
    options = CaptionOptions(templates, "mira", shuffle, tags, empty)
    first, second = draws(options, 2, caption, seed)
    assert options.is_random or first == second


@pytest.mark.parametrize(
    "options", [{"tag_dropout": 1.1}, {"caption_dropout": -0.1}, {"caption_dropout": float("nan")}]
)
def test_a_chance_outside_0_to_1_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="_dropout is .*, expected 0 to 1"):
        CaptionOptions(**options)


def test_joined_captions_name_each_tag_once() -> None:
    assert join_captions(["1girl, hat", "", "hat, sword"]) == "1girl, hat, sword"
