"""Tries a training once more with recomputing where its first step did not fit into memory."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

import comfy.model_management as management

from .backbone import ModelBackbone

T = TypeVar("T")


def within_memory(backbone: ModelBackbone, train: Callable[[], T], steps_done: Callable[[], int]) -> tuple[T, bool]:
    """What `train` gives, and whether it was called a second time: with `auto` checkpointing, after a first step for
    which there was no memory. steps_done: of the call that failed."""
    try:
        return train(), False
    except Exception as error:
        can_save_memory = backbone.recompute == "auto" and not backbone.recomputes
        if steps_done() > 0 or not can_save_memory or not management.is_oom(error):
            raise
    # Out here the exception is gone, and with it the tensors that its traceback held.
    gc.collect()
    management.soft_empty_cache()
    backbone.recompute_always()
    return train(), True
