"""What a comparison of contexts draws: prompts in rows, contexts at several scales in columns, and no picture twice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """One picture to draw. Equal cells are equal pictures; without a context there is no scale either."""

    prompt: str
    context: int | None
    scale: float = 0.0


def parse_prompts(text: str) -> list[str]:
    """One prompt a line. Raises ValueError where there is none."""
    prompts = [line.strip() for line in text.splitlines() if line.strip()]
    if not prompts:
        raise ValueError("prompts is empty, expected one prompt a line")
    return list(dict.fromkeys(prompts))


def parse_scales(text: str, largest: float) -> list[float]:
    """Numbers between commas, each once. Raises ValueError where they are none, or not from 0 to `largest`."""
    parts = [part.strip() for part in text.split(",")]
    try:
        scales = [float(part) for part in parts if part]
    except ValueError:
        scales = []
    if not scales or not all(math.isfinite(scale) and 0 <= scale <= largest for scale in scales):
        raise ValueError(
            f"scales is {text!r}, expected numbers from 0 to {largest:g} between commas, such as 0, 0.7, 1"
        )
    return list(dict.fromkeys(scales))


def plan_cells(prompts: Sequence[str], contexts: Sequence[int], scales: Sequence[float]) -> list[list[Cell]]:
    """A row for each prompt; in it, for each context (numbers; the same context has the same number) a cell for each
    scale.

    At scale 0 all contexts are the model without any, so those cells are equal.
    """
    columns = [(context, scale) for context in contexts for scale in scales]
    return [
        [Cell(prompt, context, scale) if scale else Cell(prompt, None) for context, scale in columns]
        for prompt in prompts
    ]
