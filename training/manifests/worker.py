"""The loop of a worker: reads a row a line, trains it, and says a line for each step and for how it ended.

It ends with its input: whoever started it has closed it or has died. A run that has begun is then left after its step,
with a checkpoint; before that there is nothing to keep.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import IO, Any

import torch

from ...masking.wording import printable, sentence
from ..result import StepReport
from .train_row import Asked, Ended, TrainingModel, train_row

READY, STEP, ENDED = "ready", "step", "ended"


class InputEnded(KeyboardInterrupt):
    """A KeyboardInterrupt, so that whoever saves after that one does."""


class Requests:
    """The lines of the input, read by a thread of their own so that their end is noticed while a row is trained."""

    def __init__(self, source: IO[str], leave: Callable[[], None] = lambda: os._exit(0)) -> None:
        self._waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._over = self._stepped = False
        self._leave = leave
        self._reader = threading.Thread(target=self._read, args=(source,), daemon=True)
        self._reader.start()

    def __iter__(self) -> Iterator[Asked]:
        """Without end: the process is left when the input ends."""
        while True:
            yield Asked(**json.loads(self._waiting.get()))
            with self._guard:
                self._stepped = False
                if self._over:
                    self._leave()

    def stepped(self) -> None:
        """From the first step of a row on there is something to lose. Raises InputEnded."""
        with self._guard:
            self._stepped = True
            if self._over:
                raise InputEnded

    def _read(self, source: IO[str]) -> None:
        for line in source:
            self._waiting.put(line)
        with self._guard:
            self._over = True
            if not self._stepped:
                self._leave()


def serve(model: TrainingModel, events: IO[str], source: IO[str] | None = None) -> None:
    """Until the input ends. On a processor each row is trained on one thread, so that neither the number of workers nor
    the machine changes a bit of it."""
    if model.device == "cpu":
        torch.set_num_threads(1)
    requests = Requests(sys.stdin if source is None else source)
    _say(events, READY, devices=model.devices)
    for asked in requests:

        def on_step(report: StepReport) -> None:
            _say(events, STEP, done=report.step, of=report.steps)
            requests.stepped()

        _say(events, ENDED, **asdict(_ended(asked, model, on_step)))


def _ended(asked: Asked, model: TrainingModel, on_step: Callable[[StepReport], None]) -> Ended:
    try:
        return train_row(asked, model, on_step)
    except InputEnded:
        return Ended("failed", "its batch was ended")
    except (ValueError, OSError) as error:
        return Ended("failed", sentence(error))
    except Exception as error:  # one row must not end the others
        if isinstance(error, MemoryError | torch.OutOfMemoryError):
            return Ended("failed", "there was not enough memory, expected a smaller size, batch_size or num_tokens")
        return Ended("failed", f"{type(error).__name__}: {printable(error, 200)}", trace=traceback.format_exc())


def _say(events: IO[str], kind: str, **said: Any) -> None:
    try:
        events.write(json.dumps({"kind": kind, **said}) + "\n")
        events.flush()
    except BrokenPipeError:
        pass  # whoever listened is gone, which ends the input too
