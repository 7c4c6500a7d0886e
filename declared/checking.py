"""One check for all settings, which answers what makes no sense with one sentence: the input, what came, what was
expected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .setting import Face, Setting, settings_of

LONGEST_SENTENCE = 300  # characters
_LONGEST_VALUE = 100
_LARGEST_SHOWN = 10**60  # longer whole numbers are told by their size


def check(declared: Any, face: Face = "public") -> None:
    """Raises ValueError for the first setting of a dataclass's instance that makes no sense, by its name on `face`."""
    for each in settings_of(type(declared)):
        check_value(each, getattr(declared, each.field), each.id_on(face) or each.public_id)


def values_of(cls: type, given: Mapping[str, Any], face: Face) -> dict[str, Any]:
    """By field, the values of `given` that belong to settings of `cls` on `face`; other names are left alone.

    Raises ValueError where one makes no sense.
    """
    found = {}
    for each in settings_of(cls):
        name = each.id_on(face)
        if name is not None and name in given:
            check_value(each, given[name], name)
            found[each.field] = given[name]
    return found


def check_value(declared: Setting, value: Any, name: str) -> None:
    """Raises ValueError that calls the setting `name` where the value is of another type or outside of its range."""
    if not _has_type(declared, value):
        words = {bool: "true or false", int: "a whole number, ", float: "a number, ", str: "text"}[declared.kind]
        expected = words + (range_text(declared) if declared.kind in (int, float) else "")
    elif not _is_in_range(declared, value):
        expected = range_text(declared)
    else:
        return
    raise ValueError(shortened(f"{name} is {_shown(value)}, expected {expected}"))


def range_text(declared: Setting) -> str:
    """What is accepted, in words: `0 (off) to below 1`, `1 or more, at most 4096`, `one of: a, b`."""
    if declared.choices:
        return f"one of: {', '.join(declared.choices)}"
    if declared.kind is bool:
        return "true or false"
    if declared.kind is str:
        return f"text of at most {declared.longest} characters"
    least, most = number_text(declared.least), number_text(declared.most)
    if declared.off is not None and declared.off == declared.least:
        least += " (off)"
    if declared.widget_most is not None and not declared.below:
        return f"{least} or more, at most {most}"  # a guard far away from what anybody needs
    return f"{least} to {'below ' if declared.below else ''}{most}"


def shortened(sentence: str) -> str:
    """The sentence in one printable line of at most LONGEST_SENTENCE characters, what is too much cut from its
    middle."""
    line = "".join(character if character.isprintable() else " " for character in sentence)
    if len(line) <= LONGEST_SENTENCE:
        return line
    end = LONGEST_SENTENCE // 2
    return f"{line[: LONGEST_SENTENCE - end - 3]} … {line[-end:]}"


def _has_type(declared: Setting, value: Any) -> bool:
    if isinstance(value, bool):
        return declared.kind is bool
    return isinstance(value, (int, float) if declared.kind is float else declared.kind)


def _is_in_range(declared: Setting, value: Any) -> bool:
    if declared.choices:
        return value in declared.choices
    if declared.kind is str:
        return len(value) <= declared.longest
    if declared.kind is bool:
        return True
    assert declared.least is not None and declared.most is not None
    # Written so that NaN, which compares with nothing, is outside.
    return declared.least <= value and (value < declared.most if declared.below else value <= declared.most)


def _shown(value: Any) -> str:
    if isinstance(value, int) and abs(value) > _LARGEST_SHOWN:
        return f"{'-' if value < 0 else ''}1e{round(abs(value).bit_length() * 0.30103)} or so"
    if isinstance(value, str):
        text = repr(value[:_LONGEST_VALUE])
        text = text[:_LONGEST_VALUE]
        return text if len(value) <= _LONGEST_VALUE else f"{text}… ({len(value)} characters)"
    if value is None or isinstance(value, (bool, int, float)):
        return f"{value}"
    return f"a {type(value).__name__}"


def number_text(value: float | None) -> str:
    """A bound as it is written: whole numbers with all their digits."""
    if value is None:
        return ""
    return str(int(value)) if value == int(value) else f"{value:g}"
