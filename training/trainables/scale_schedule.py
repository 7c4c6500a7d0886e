"""A context's scale as a function of how far sampling has come.

An artist writes points `0:1, 0.6:1, 0.6:0`: percent of the sampling schedule and scale. Between points the scale is on
the line from one to the next; a percent that stands twice is a jump; before the first and after the last point it
stays.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from ...masking.wording import quoted

LONGEST_TEXT = 2000
# Of the curve by sigma: models space percents and sigmas differently, and 1 / 500 is finer than any step.
PIECES = 500

_POINT = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*:\s*([0-9]*\.?[0-9]+)\s*", re.ASCII)


@dataclass(frozen=True)
class ScaleSchedule:
    """points: (percent 0..1, scale), percents in rising order."""

    points: tuple[tuple[float, float], ...]

    def at(self, percent: float) -> float:
        """The scale at a percent 0..1; where the schedule jumps, the scale after the jump."""
        return _between(self.points, percent)

    def by_sigma(self, percent_to_sigma: Callable[[float], float]) -> SigmaCurve:
        """The same over a model's sigmas, which fall as the percent rises."""
        percents = sorted({number / PIECES for number in range(PIECES + 1)} | {percent for percent, _ in self.points})
        jumps = {first for (first, _), (second, _) in pairwise(self.points) if first == second}
        points = []
        for percent in percents:
            sigma = float(percent_to_sigma(percent))
            points.append((-sigma, self.at(percent)))
            if percent in jumps:
                points.insert(-1, (-sigma, self._before(percent)))
        return SigmaCurve(tuple(points))

    def _before(self, percent: float) -> float:
        """The scale that a jump at this percent begins at."""
        return next(scale for other, scale in self.points if other == percent)


@dataclass(frozen=True)
class SigmaCurve:
    """points: (-sigma, scale), in rising order."""

    points: tuple[tuple[float, float], ...]

    def at(self, sigma: float) -> float:
        return _between(self.points, -sigma)


def parse_scale_schedule(text: str, largest: float) -> ScaleSchedule:
    """The schedule that `text` describes, of scales from 0 to `largest`.

    Raises one ValueError that names the point that is wrong and what it says.
    """
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"scale schedule has {len(text):,} characters, expected at most {LONGEST_TEXT:,}")
    points: list[tuple[float, float]] = []
    for number, part in enumerate(text.split(","), start=1):
        found = _POINT.fullmatch(part)
        if not found:
            raise _wrong(number, part, "expected a percent and a scale such as 0.6:1")
        percent, scale = map(float, found.groups())
        if percent > 1:
            raise _wrong(number, part, "expected a percent of sampling from 0 to 1")
        if scale > largest:
            raise _wrong(number, part, f"expected a scale from 0 to {largest:g}")
        if points and percent < points[-1][0]:
            raise _wrong(number, part, f"expected a percent from {points[-1][0]:g} on, where the point before it lies")
        if len(points) > 1 and percent == points[-1][0] == points[-2][0]:
            raise _wrong(number, part, "expected a percent at most twice, before and after a jump")
        points.append((percent, scale))
    return ScaleSchedule(tuple(points))


def _between(points: tuple[tuple[float, float], ...], place: float) -> float:
    following = bisect_right(points, place, key=lambda point: point[0])
    if following == 0:
        return points[0][1]
    start, low = points[following - 1]
    if following == len(points) or start == place:
        return low
    end, high = points[following]
    return low + (high - low) * (place - start) / (end - start)


def _wrong(number: int, part: str, expected: str) -> ValueError:
    return ValueError(f"scale schedule: point {number} is {quoted(part.strip())}, {expected}")
