"""Says in words what a training node is doing, from its first moment and then every few seconds."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol

import comfy.model_management as management
import torch

from ...training.reports.memory import memory_in_use
from ...training.reports.pace import Pace
from .channel import Channel

EVENT = "anima_fast_train.phase"
HEARTBEAT_SECONDS = 2.0
SECONDS_BETWEEN_MESSAGES = 0.25  # of one phase


class TellingBackbone(Protocol):
    """What a backbone that is watched calls: a phase that begins, and each forward pass with its rows."""

    on_phase: Callable[[str], None]
    on_pass: Callable[[int], None]
    recomputes: bool


class Phases:
    """Inside this context the page learns each phase when it begins, and every HEARTBEAT_SECONDS that it goes on.

    channel: None tells nobody, and still keeps the pace. Raises ComfyUI's InterruptProcessingException from `begin` and
    `passed` where the user cancels before the first step; steps look for that themselves.
    """

    def __init__(self, channel: Channel | None, device: torch.device) -> None:
        self.pace = Pace()
        self.training = False
        self.passing = "measuring the model as it is"  # what forward passes before the first step are for
        self._channel, self._device = channel, device
        self._words, self._step_words, self._passes = "", "", 0
        self._begun: Counter[str] = Counter()
        self._began = time.monotonic()
        self._next_message = 0.0
        self._backbone: TellingBackbone | None = None
        self._over = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="anima-phases", daemon=True)

    def __enter__(self) -> Phases:
        if self._channel is not None:
            self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()

    def watch(self, backbone: TellingBackbone) -> None:
        self._backbone = backbone
        backbone.on_phase, backbone.on_pass = self.begin, self.passed

    def begin(self, words: str) -> None:
        """A phase such as "encoding the prompt"."""
        if not self.training:
            management.throw_exception_if_processing_interrupted()
        self._begun[words] += 1
        self._words = words if self._begun[words] == 1 else f"{words}, number {self._begun[words]}"
        self._passes = 0
        self._tell()

    def passed(self, rows: int) -> None:
        """After each forward pass of so many rows; those of steps and of trial steps have a gradient."""
        measures = not torch.is_grad_enabled()
        if not self.training:
            management.throw_exception_if_processing_interrupted()
            if measures:
                self.pace.passed(rows)
            self.pace.recomputes = self._backbone is not None and self._backbone.recomputes
            self._passes += 1
            self._words = f"{self.passing if measures else 'trying learning rates'}, pass {self._passes}"
        elif measures and self._words == self._step_words:
            self._words = f"{self._step_words}, measuring what is learned"
        if time.monotonic() >= self._next_message:
            self._tell()

    def step(self, step: int, steps: int) -> None:
        """After each step."""
        self.training = True
        self.pace.stepped(step, steps)
        self._words = self._step_words = f"step {step} of {steps}"

    def message(self) -> dict[str, Any]:
        return {
            "phase": self._words,
            "seconds": round(time.monotonic() - self._began, 1),
            "left": self.pace.left_in_words(),
            "memory": memory_in_use(self._device),
        }

    def send(self, event: str, message: dict[str, Any]) -> None:
        if self._channel is not None:
            self._channel.send(event, message)

    def _tell(self) -> None:
        self._next_message = time.monotonic() + SECONDS_BETWEEN_MESSAGES
        self.send(EVENT, self.message())

    def _beat(self) -> None:
        while not self._over.wait(HEARTBEAT_SECONDS):
            self._tell()
