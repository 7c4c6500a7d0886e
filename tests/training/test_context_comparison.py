"""Which pictures a comparison draws, and which texts it does not understand."""

from __future__ import annotations

import pytest

from anima_fast_train.training.reports.context_comparison import Cell, parse_prompts, parse_scales, plan_cells


def test_a_prompt_a_line_each_once() -> None:
    assert parse_prompts(" 1girl \n\n1boy\n1girl") == ["1girl", "1boy"]


def test_scales_between_commas_each_once() -> None:
    assert parse_scales("0, 0.7,1, 0.70", 3) == [0, 0.7, 1]
    assert parse_scales("1", 3) == [1]


@pytest.mark.parametrize("text", ["", ",", "a", "0; 1", "0, -1", "0,7", "nan", "inf"])
def test_scales_that_do_not_parse_are_named(text: str) -> None:
    with pytest.raises(ValueError, match="expected numbers from 0 to 3") as refused:
        parse_scales(text, 3)
    assert repr(text) in str(refused.value)


def test_no_prompt_is_said() -> None:
    with pytest.raises(ValueError, match="prompts is empty"):
        parse_prompts(" \n ")


def test_the_model_without_context_is_one_picture_for_all_contexts() -> None:
    rows = plan_cells(["a", "b"], [0, 1], [0, 0.5, 1])
    assert [[cell.prompt for cell in row] for row in rows] == [["a"] * 6, ["b"] * 6]
    assert rows[0] == [
        Cell("a", None),
        Cell("a", 0, 0.5),
        Cell("a", 0, 1),
        Cell("a", None),
        Cell("a", 1, 0.5),
        Cell("a", 1, 1),
    ]
    assert len(set(rows[0])) == 5


def test_a_context_that_is_connected_twice_is_drawn_once() -> None:
    assert len({cell for row in plan_cells(["a"], [0, 0], [0, 1]) for cell in row}) == 2
