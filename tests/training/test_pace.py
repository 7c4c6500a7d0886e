"""The time that is left is told from passes before the first step and from steps after it, in words to plan with."""

from __future__ import annotations

import pytest

from anima_fast_train.training.reports.pace import EVALUATIONS_SHARE, PASSES_PER_ROW, Pace, in_words


def paced() -> Pace:
    """A run of 1200 rows whose first pass took 30 s to load and whose others 0.1 s a row."""
    pace = Pace()
    pace.rows = 1200
    for number in range(6):
        pace.passed(4, 30.0 + 0.4 * number)
    return pace


def test_before_the_first_step_passes_tell_the_time_and_loading_does_not_count() -> None:
    assert paced().left() == pytest.approx(1200 * 0.1 * PASSES_PER_ROW * EVALUATIONS_SHARE)
    assert paced().left_in_words() == "about 5 min left"


def test_computing_blocks_twice_costs_a_pass_more() -> None:
    pace = paced()
    pace.recomputes = True
    assert pace.left() == pytest.approx(1200 * 0.1 * (PASSES_PER_ROW + 1) * EVALUATIONS_SHARE)


def test_one_slow_pass_among_many_changes_nothing() -> None:
    pace = paced()
    before = pace.left()
    pace.passed(4, 100.0)
    assert pace.left() == pytest.approx(before)


def test_from_the_second_step_on_steps_tell_the_time() -> None:
    pace = paced()
    pace.stepped(1, 300, 50.0)
    assert pace.left() == paced().left(), "one step says nothing of the next"
    pace.stepped(2, 300, 51.5)
    assert pace.left() == pytest.approx(298 * 1.5)
    pace.stepped(300, 300, 60.0)
    assert pace.left() == 0


def test_nothing_is_said_before_anything_is_known() -> None:
    assert Pace().left_in_words() == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (8.4, "8 s"), (33, "35 s"), (88, "90 s"), (95, "2 min"), (3000, "50 min"), (4800, "1 h 20 min")],
)
def test_words_are_as_fine_as_a_plan(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
