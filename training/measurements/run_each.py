"""Runs measurements side by side, each on one thread, so that the number of processes changes no bit of them."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

import torch

from .equal_time import one_thread

Task = TypeVar("Task")
Result = TypeVar("Result")


def run_each(work: Callable[[Task], Result], tasks: Sequence[Task], processes: int) -> Iterator[tuple[Task, Result]]:
    """Each task and what `work` makes of it, as soon as it is there. Both must be picklable."""
    if min(processes, len(tasks)) < 2:
        with one_thread():
            yield from ((task, work(task)) for task in tasks)
        return
    workers = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=begin_worker)
    try:
        started = {workers.submit(work, task): task for task in tasks}
        for done in as_completed(started):
            yield started[done], done.result()
    finally:
        workers.shutdown(cancel_futures=True)


def begin_worker() -> None:
    """One thread, and no work for a command that was killed."""
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
