"""How long a training will take: from its forward passes before the first step, from its steps after it."""

from __future__ import annotations

import time
from statistics import median

# A row of training costs so many forward passes (2.1 on Anima at 512 px), and one more where blocks are computed twice.
PASSES_PER_ROW = 2.1
EVALUATIONS_SHARE = 1.1  # all evaluations together cost less than a tenth of a run
PASSES_REMEMBERED = 50


class Pace:
    """Told of passes and steps as they end; times are those of the wall, so that waiting for a GPU counts."""

    def __init__(self) -> None:
        self.rows, self.recomputes = 0, False  # of the whole run, and whether each row costs a pass more
        self._last: float | None = None
        self._per_row: list[float] = []
        self._first: tuple[int, float] | None = None
        self._step, self._steps, self._now = 0, 0, 0.0

    def passed(self, rows: int, now: float | None = None) -> None:
        """The first pass loads the model and is not counted."""
        now = time.monotonic() if now is None else now
        if self._last is not None:
            self._per_row = [*self._per_row[1 - PASSES_REMEMBERED :], (now - self._last) / rows]
        self._last = now

    def stepped(self, step: int, steps: int, now: float | None = None) -> None:
        now = time.monotonic() if now is None else now
        self._first = self._first or (step, now)
        self._step, self._steps, self._now = step, steps, now

    def left(self) -> float | None:
        """Seconds until the last step has ended; None while nothing is known of it."""
        if self._first is not None and self._step > self._first[0]:
            each = (self._now - self._first[1]) / (self._step - self._first[0])
            return (self._steps - self._step) * each
        if not self._per_row or self.rows == 0:
            return None
        passes = PASSES_PER_ROW + self.recomputes
        return self.rows * median(self._per_row) * passes * EVALUATIONS_SHARE

    def left_in_words(self) -> str:
        left = self.left()
        return "" if left is None else f"about {in_words(left)} left"


def in_words(seconds: float) -> str:
    """As much of it as an artist plans with: 8 s, 50 s, 4 min, 1 h 20 min."""
    if seconds < 10:
        return f"{max(1, round(seconds))} s"
    if seconds < 90:
        return f"{5 * round(seconds / 5)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
