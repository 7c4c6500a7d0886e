"""What training hands to ComfyUI's LOSS_MAP comes back whole, is plotted, and a map with the loss alone is enough."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy
import pytest
from PIL import Image

from anima_fast_train.training import EncodedReference, TrainingResult, TrainingSettings, train_context_tokens
from anima_fast_train.training.reports.history_file import COLUMNS, history_csv
from anima_fast_train.training.reports.loss_map import history_of, loss_map_of
from anima_fast_train.training.reports.loss_plot import INSIDE, LOSS, OUTSIDE, loss_plot

SETTINGS = TrainingSettings(steps=12, num_tokens=2, noise_pool=8, evaluations=3)


@pytest.fixture
def result(tiny: Any, encoded: Callable[..., EncodedReference]) -> TrainingResult:
    return train_context_tokens(tiny, [encoded()], SETTINGS)


def colours_in(png: bytes) -> set[str]:
    pixels = numpy.asarray(Image.open(io.BytesIO(png)).convert("RGB")).reshape(-1, 3)
    return {f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in numpy.unique(pixels, axis=0)}


def test_comfyuis_key_comes_first_and_the_rest_is_plain_data(result: TrainingResult) -> None:
    loss_map = loss_map_of(result.history)
    assert next(iter(loss_map)) == "loss"
    assert loss_map["loss"] == result.history.losses
    assert json.loads(json.dumps(loss_map)) == loss_map


def test_the_history_comes_back_as_far_as_it_is_plotted(result: TrainingResult) -> None:
    history = history_of(loss_map_of(result.history))
    assert history.losses == result.history.losses
    assert history.prior_losses == result.history.prior_losses
    assert history.learning_rates == result.history.learning_rates
    plotted = {step: replace(each, supplied=None) for step, each in result.history.evaluations.items()}
    assert history.evaluations == plotted
    assert history_csv(history) == history_csv(result.history)


def test_a_map_of_losses_alone_has_rows_and_a_plot() -> None:
    history = history_of({"loss": [0.5, 0.25, 0.125]})
    header, *rows = history_csv(history).decode().splitlines()
    assert header == ",".join(COLUMNS)
    assert rows == ["1,0.5,,,,,", "2,0.25,,,,,", "3,0.125,,,,,"]
    shown = colours_in(loss_plot(history))
    assert LOSS in shown
    assert not {INSIDE, OUTSIDE} & shown


def test_the_plot_shows_losses_and_both_evaluations(result: TrainingResult) -> None:
    assert {LOSS, INSIDE, OUTSIDE} <= colours_in(loss_plot(history_of(loss_map_of(result.history))))


def test_a_loss_that_is_not_finite_is_no_obstacle() -> None:
    assert LOSS in colours_in(loss_plot(history_of({"loss": [float("nan"), 0.5, float("inf"), 0.25]})))


@pytest.mark.parametrize(
    ("loss_map", "words"),
    [
        ({}, "without a loss"),
        ({"loss": []}, "without a loss"),
        ([0.5], "list"),
        ({"loss": [0.5], "learning_rate": [0.1, 0.1]}, "2 values of learning_rate and 1 losses"),
    ],
)
def test_what_is_no_loss_map_is_said_in_one_sentence(loss_map: Any, words: str) -> None:
    with pytest.raises(ValueError, match="expected") as refused:
        history_of(loss_map)
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_without_matplotlib_one_sentence_says_what_to_install() -> None:
    code = """if True:
        import sys
        sys.modules["matplotlib"] = None
        from anima_fast_train.training.reports.loss_plot import loss_plot
        from anima_fast_train.training.result import History
        try:
            loss_plot(History([0.5]))
        except ModuleNotFoundError as error:
            print(error)
    """
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    assert "pip install matplotlib" in said and "\n" not in said
