"""The caption of a picture file: the text file beside it, or the words of its own name.

Which words of a name count is a regular expression that comes with a workflow, and some run for years on one name.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ...masking.wording import printable, quoted, sentence
from ..files.regular_file import open_regular

LARGEST_CAPTION = 100_000  # bytes; text encoders read some hundred words
LONGEST_NAME = 1000  # characters; file systems allow 255 bytes
LONGEST_PATTERN = 500
# No name is longer than 255 letters, so no part of it repeats more often; repeats of repeats are unrolled when the
# pattern is compiled, which no time limit ends.
MOST_REPEATS = 255
MOST_UNROLLED = 20_000
SECONDS_A_NAME = 0.2
# (?R), (?1), (?&name): what such a pattern piles up within its time is hundreds of megabytes.
_CALL = re.compile(r"\(\?(R|&|P>|[+-]?\d)")


class SlowPattern(ValueError):
    """A word pattern that does not come to an end: it would not on the next name either."""


def read_caption(path: Path) -> str:
    """The text of a UTF-8 file on one line. Raises ValueError in one sentence for anything but a file of
    LARGEST_CAPTION bytes at most; an empty file is an empty caption."""
    name = quoted(path.name, 60)
    try:
        if path.is_file() and path.stat().st_size == 0:
            return ""
        with open_regular(path, LARGEST_CAPTION) as file:
            content = file.read(LARGEST_CAPTION + 1)
        return " ".join(content.decode("utf-8-sig").split())
    except UnicodeDecodeError as error:
        reason = printable(error.reason, 60)
        raise ValueError(f"its caption {name} cannot be read as UTF-8 text: byte {error.start}: {reason}") from error
    except (ValueError, OSError) as error:
        raise ValueError(sentence(f"its caption {name} cannot be read: {printable(error, 120)}")) from error


def caption_from_name(name: str, word_pattern: str = "", join: str = " ") -> str:
    """The caption in a file name: ending, leading numbers and dashes dropped, so "000001-1-a man in suit.png" gives "a
    man in suit".

    With a word pattern, the caption is its matches, joined; brackets in the pattern choose what of a match counts.
    Raises ValueError for a pattern that cannot be used, SlowPattern for one that takes longer than SECONDS_A_NAME.
    """
    if len(name) > LONGEST_NAME:
        raise ValueError(f"file name {quoted(name, 60)} has {len(name):,} characters, expected at most {LONGEST_NAME}")
    words = re.sub(r"^[\d-]+\s*", "", Path(name).stem)
    if not word_pattern:
        return words.strip()
    pattern = compile_word_pattern(word_pattern)
    try:
        # Without `concurrent` the whole process would wait for the match.
        found = list(pattern.finditer(words, timeout=SECONDS_A_NAME, concurrent=True))
    except (TimeoutError, MemoryError):
        raise SlowPattern(
            f"word pattern {quoted(word_pattern, 60)} took too long on {quoted(name, 60)}, expected an expression that "
            f"is done within {SECONDS_A_NAME:g} seconds"
        ) from None
    return join.join(match.group(1) or "" if pattern.groups else match.group() for match in found).strip()


def compile_word_pattern(word_pattern: str) -> Any:
    """A pattern of the package `regex`, whose matches can be timed. Raises ValueError in one sentence."""
    if len(word_pattern) > LONGEST_PATTERN:
        raise ValueError(
            f"word pattern {quoted(word_pattern, 60)} has {len(word_pattern):,} characters, expected at most "
            f"{LONGEST_PATTERN}"
        )
    _require_few_repeats(word_pattern)
    if _CALL.search(word_pattern):
        raise ValueError(f"word pattern {quoted(word_pattern, 60)} calls a part of itself, expected none that does")
    try:
        import regex  # not at the top: without a word pattern it is not needed
    except ImportError:
        raise ValueError("a word pattern needs the Python package regex: pip install regex") from None
    try:
        return regex.compile(word_pattern)
    except (regex.error, ValueError, OverflowError, RecursionError, MemoryError, LookupError) as error:
        reason = printable(error, 100) or "it is nested too deeply"
        raise ValueError(f"word pattern {quoted(word_pattern, 60)} is not a regular expression: {reason}") from error


def _require_few_repeats(word_pattern: str) -> None:
    unrolled = 1
    for inside in re.findall(r"\{([^{}]*)\}", word_pattern):
        counts = [int(digits[:9]) for digits in re.findall(r"[0-9]+", "".join(inside.split()))]
        largest = max(counts, default=0)
        unrolled *= max(1, largest)
        if largest > MOST_REPEATS or unrolled > MOST_UNROLLED:
            raise ValueError(
                f"word pattern {quoted(word_pattern, 60)} repeats a part too often, expected at most {MOST_REPEATS} "
                f"times, and {MOST_UNROLLED:,} times together"
            )
