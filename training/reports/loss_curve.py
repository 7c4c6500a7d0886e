"""The loss while training runs: smoothed, and thinned so that a curve of any length is a short message."""

from __future__ import annotations

import math

SMOOTHING = 0.95
MOST_POINTS = 128


class Smoother:
    """Exponential moving average, corrected for its start; it stays where a value is not finite."""

    def __init__(self, keep: float = SMOOTHING) -> None:
        self._keep, self._average, self._weight = keep, 0.0, 0.0

    def add(self, value: float) -> float:
        """The average with `value` in it; nan until there is a finite value."""
        if math.isfinite(value):
            self._average = self._keep * self._average + (1 - self._keep) * value
            self._weight = self._keep * self._weight + (1 - self._keep)
        return self._average / self._weight if self._weight else math.nan


class LossCurve:
    """Points (step, smoothed loss): every one at first, then every second, fourth and so on, and always the last."""

    def __init__(self, most_points: int = MOST_POINTS) -> None:
        self._most_points, self._stride = most_points, 1
        self._smoother = Smoother()
        self._kept: list[tuple[int, float]] = []
        self._last: tuple[int, float] | None = None

    def add(self, step: int, loss: float) -> None:
        self._last = (step, self._smoother.add(loss))
        if not math.isfinite(self._last[1]):
            return
        if step % self._stride == 0 or not self._kept:
            self._kept.append(self._last)
        if len(self._kept) > self._most_points:
            self._stride *= 2
            self._kept = [self._kept[0], *(point for point in self._kept[1:] if point[0] % self._stride == 0)]

    def points(self) -> list[tuple[int, float]]:
        """At most one more than `most_points`, by rising step."""
        newest = (
            [] if self._last is None or self._last in self._kept or not math.isfinite(self._last[1]) else [self._last]
        )
        return [*self._kept, *newest]
