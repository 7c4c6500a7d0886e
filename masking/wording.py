"""How words of strangers stand in our sentences: on one line, printable and short, whatever a file or a workflow said.

A terminal obeys escapes, a log breaks at line ends, and a name of a megabyte hides what went wrong.
"""

from __future__ import annotations

from collections.abc import Iterable

LONGEST_SENTENCE = 300
LONGEST_QUOTE = 120  # long enough for most paths
GAP = "…"


def printable(text: object, limit: int = LONGEST_SENTENCE) -> str:
    """The text on one line of at most `limit` characters: what does not print is escaped as \\x1b or \\u202e, runs of
    white space become one space, and of a longer text its beginning and its end are kept."""
    said = str(text)
    # Before escaping, so that a text of a gigabyte costs no more than a short one; escapes only lengthen it.
    if len(said) > 4 * limit:
        said = f"{said[: 2 * limit]}{GAP}{said[-2 * limit :]}"
    return shortened("".join(map(_escaped, " ".join(said.split()))), limit)


def quoted(text: object, limit: int = LONGEST_QUOTE) -> str:
    """As `printable`, in quotes that do not count towards the limit."""
    return f"'{_one_line_but_spaces(str(text), limit)}'"


def sentence(text: object) -> str:
    """What an error says: printable, one line, at most LONGEST_SENTENCE characters."""
    return printable(text, LONGEST_SENTENCE)


def first_of(items: Iterable[str], most: int = 3, room: int = 160) -> str:
    """The first few items, joined by semicolons, and how many more there are; at most about `room` characters."""
    listed = list(items)
    shown: list[str] = []
    for item in listed[:most]:
        item = printable(item, room)
        if shown and sum(map(len, shown)) + len(item) > room:
            break
        shown.append(item)
    left = len(listed) - len(shown)
    return "; ".join(shown) + (f"; and {left} more" if left else "")


def shortened(text: str, limit: int) -> str:
    """The text, or its beginning and its end with a gap between; the end of a path says more than its middle."""
    if len(text) <= limit:
        return text
    tail = (limit - len(GAP)) * 2 // 3
    return text[: limit - len(GAP) - tail] + GAP + text[len(text) - tail :]


def _one_line_but_spaces(text: str, limit: int) -> str:
    """Names may begin with spaces or hold several, which a quote has to show."""
    if len(text) > 4 * limit:
        text = f"{text[: 2 * limit]}{GAP}{text[-2 * limit :]}"
    return shortened("".join(map(_escaped, text)), limit)


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")
