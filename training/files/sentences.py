"""How a sentence for the user quotes what came from a file: on one line, printable and short, whatever the file
holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...masking.wording import LONGEST_SENTENCE, printable

LONGEST_PREDICATE = 220  # leaves room for the end of the file's name
LONGEST_WHOLE = 10**30


def shown(value: Any, longest: int = 48) -> str:
    """A value of JSON for an error: text quoted, escaped and cut to about `longest` characters, lists and objects by
    their size."""
    if isinstance(value, str):
        quoted = repr(value[: longest + 1])
        return quoted if len(quoted) <= longest + 2 else f"{quoted[:longest]}…'"
    if isinstance(value, dict):
        return f"an object of {len(value)} entries"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)} values"
    if isinstance(value, int) and abs(value) > LONGEST_WHOLE:
        return f"a number of {value.bit_length()} bits"
    return printable(repr(value))[:longest]


def about_file(noun: str, path: str | Path, predicate: object) -> str:
    """`noun path predicate` in at most LONGEST_SENTENCE printable characters; of a long path the end is kept.

    predicate: the second half of the sentence, such as "is cut short: it has 12 of 40 bytes", or the error that says
    it.
    """
    said = printable(str(predicate)[:LONGEST_SENTENCE])
    said = said if len(said) <= LONGEST_PREDICATE else f"{said[: LONGEST_PREDICATE - 1]}…"
    name, room = printable(str(path)), LONGEST_SENTENCE - len(noun) - len(said) - 2
    return f"{noun} {name if len(name) <= room else '…' + name[1 - room :]} {said}"
