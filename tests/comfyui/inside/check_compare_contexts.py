"""A comparison counts its steps over all cells, and finds out what does not fit before it draws anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import comfy.model_management as management
import comfy.utils
import torch
from check_patch import context_for
from small_models import anima, clip, noise, raises, vae

from anima_fast_train.nodes.compare_contexts_node import CompareContexts
from anima_fast_train.training.trainables.context_file import ReferenceContext
from anima_fast_train.training.trainables.context_tokens import ContextTokens
from anima_fast_train.training.training_info import TrainingInfo

SETTINGS = {
    "prompts": "1girl",
    "negative_prompt": "",
    "scales": "0, 1",
    "width": 64,
    "height": 64,
    "seed": 1,
    "steps": 3,
    "cfg": 1.0,
    "sampler_name": "euler",
    "scheduler": "simple",
}


@contextmanager
def progress_told_to(hook: Callable[[int, int], None]) -> Iterator[None]:
    before = comfy.utils.PROGRESS_BAR_HOOK
    comfy.utils.set_progress_bar_global_hook(lambda value, total, preview, node_id=None: hook(value, total))
    try:
        yield
    finally:
        comfy.utils.set_progress_bar_global_hook(before)


def compare(contexts: dict[str, ReferenceContext], **changes: Any) -> None:
    with torch.inference_mode():
        CompareContexts.execute(anima(), clip(), vae(), contexts, **{**SETTINGS, **changes})


def check_progress_counts_over_all_different_cells() -> None:
    one, other = context_for(anima()), context_for(anima(), seed=1)
    seen: list[tuple[int, int]] = []
    with progress_told_to(lambda value, total: seen.append((value, total))):
        compare({"context_1": one, "context_2": other, "context_3": one})
    # Without context, with the one, with the other: three steps each.
    drawn = [value for value, total in seen if total == 9]
    assert drawn[0] == 1 and drawn[-1] == 9
    assert drawn == sorted(drawn)


def check_cancel_stops_between_two_steps() -> None:
    seen: list[int] = []

    def cancel(value: int, total: int) -> None:
        seen.append(value)
        management.interrupt_current_processing()

    with progress_told_to(cancel), raises(management.InterruptProcessingException):
        compare({"context_1": context_for(anima())}, steps=50)
    assert seen == [1]


def check_a_context_for_another_model_is_named_before_anything_is_drawn() -> None:
    wrong = ReferenceContext(ContextTokens(noise(28, 4, 1024)), info=TrainingInfo(model_family="anima"))
    sampled: list[int] = []
    with (
        progress_told_to(lambda value, total: sampled.append(value)),
        raises(ValueError, "context_2", "28 blocks", "10 blocks"),
    ):
        compare({"context_1": context_for(anima()), "context_2": wrong})
    assert sampled == []


def check_no_context_is_said() -> None:
    with raises(ValueError, "no context came", "contexts"):
        compare({})
