"""Reads JSON that somebody else may have written: its size is judged before anything is built from it."""

from __future__ import annotations

import json
import re
from itertools import accumulate
from typing import Any

from .sentences import shown

DEEPEST = 16
LONGEST_INTEGER = 20  # digits of 2**64
# Each costs Python's reader a hundred bytes and a third of a microsecond.
MOST_ESCAPES = 500_000

# One string, or all that is left where its end is missing, so that no text makes the search go back.
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")
_LEVEL = {"[": 1, "{": 1, "]": -1, "}": -1}


def loads(text: str, most_values: int, *, special_numbers: bool = False) -> Any:
    """The value that the text says, as `json.loads` does.

    Raises ValueError in the second half of a sentence, such as "is not JSON", where it is none, holds more than
    `most_values` values and names or MOST_ESCAPES backslashes, is nested deeper than DEEPEST, names something twice,
    has an integer of more than LONGEST_INTEGER digits, or NaN and Infinity without `special_numbers`.
    """
    _check_size(text, most_values)
    constant = float if special_numbers else _refuse_constant
    try:
        return json.loads(text, object_pairs_hook=_named_once, parse_int=_integer, parse_constant=constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON at character {error.pos + 1}") from error
    except RecursionError as error:
        raise ValueError(f"is nested deeper than {DEEPEST}") from error


def _check_size(text: str, most_values: int) -> None:
    """Counts marks outside of strings: every value but the first is a string or follows a comma or a bracket."""
    if text.count("\\") > MOST_ESCAPES:
        raise ValueError(f"holds more than {MOST_ESCAPES} escapes")
    skeleton, marks = _STRING.subn('""', text, count=most_values + 1)
    marks += sum(skeleton.count(mark) for mark in ",[{")
    if marks > most_values:
        raise ValueError(f"holds more than {most_values} values")
    levels = accumulate(_LEVEL[bracket] for bracket in _BRACKET.findall(skeleton))
    if max(levels, default=0) > DEEPEST:
        raise ValueError(f"is nested deeper than {DEEPEST}")


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in values:
            raise ValueError(f"names {shown(name)} twice")
        values[name] = value
    return values


def _integer(digits: str) -> int:
    if len(digits) > LONGEST_INTEGER + 1:
        raise ValueError(f"holds a number of {len(digits)} digits, expected at most {LONGEST_INTEGER}")
    return int(digits)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"holds {name}")
