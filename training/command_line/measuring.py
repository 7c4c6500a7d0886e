"""What the commands that measure have in common: numbers that they take, and how they speak while they run."""

from __future__ import annotations

import sys

from tqdm import tqdm


def require_positive(**numbers: int) -> None:
    """Raises ValueError that names the first number below 1."""
    for name, value in numbers.items():
        if value < 1:
            raise ValueError(f"{name} is {value}, expected 1 or more")


def say(text: str) -> None:
    """A line beside a progress bar, apart from what the command prints."""
    tqdm.write(text, file=sys.stderr)
