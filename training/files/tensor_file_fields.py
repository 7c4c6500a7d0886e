"""Carries a dataclass through the metadata of a tensor file, each field under a rule that it declares.

Text is stored as it is, everything else as JSON. A field that is missing, or that does not follow its rule, takes its
default, so that a file of another version loads.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

from .bounded_json import loads
from .value_rules import ListOf, Number, PlainObject, Rule, Text, Whole

_RULE = "rule"
LONGEST_NUMBER = 32  # characters; the widest float takes 24


def stored(default: Any, rule: Rule) -> Any:
    """A field of a dataclass that `to_strings` stores and `from_strings` reads back under `rule`."""
    return dataclasses.field(default=default, metadata={_RULE: rule})


def whole(default: int | None, least: int, most: int) -> Any:
    """A field for a whole number from `least` to `most`; None stands for not known."""
    return stored(default, Whole(least, most))


def number(default: float | None, least: float = -math.inf, most: float = math.inf) -> Any:
    """A field for a finite number from `least` to `most`; None stands for not known."""
    return stored(default, Number(least, most))


def text(default: str, longest: int) -> Any:
    """A field for text of at most `longest` characters."""
    return stored(default, Text(longest))


def wholes(most_values: int, least: int, most: int) -> Any:
    """A field for a tuple of up to `most_values` whole numbers, empty where they are not known."""
    return stored((), ListOf(Whole(least, most), 0, most_values))


def numbers(most_values: int, least: float, most: float) -> Any:
    """A field for a tuple of up to `most_values` finite numbers, empty where they are not known."""
    return stored((), ListOf(Number(least, most), 0, most_values))


def plain_object(most_values: int, longest: int) -> Any:
    """A field for an object of JSON, empty where it is not known; the bounds are those of PlainObject."""
    return dataclasses.field(default_factory=dict, metadata={_RULE: PlainObject(most_values, longest)})


def to_strings(instance: Any) -> dict[str, str]:
    """The metadata for a dataclass; fields that are None are left out.

    Halves of characters, which a terminal may give and no file takes, become question marks.
    """
    strings = {}
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        if _RULE in field.metadata and value is not None:
            said = value if isinstance(value, str) else json.dumps(value)
            strings[field.name] = said.encode("utf-8", "replace").decode("utf-8")
    return strings


def from_strings(kind: type, metadata: Mapping[str, str]) -> dict[str, Any]:
    """The arguments for a dataclass that metadata give: its fields that are there and follow their rules."""
    known = {}
    for field in dataclasses.fields(kind):
        rule, said = field.metadata.get(_RULE), metadata.get(field.name)
        if rule is not None and said is not None:
            try:
                known[field.name] = _value(rule, said)
            except ValueError:  # another version may write it differently
                continue
    return known


def _value(rule: Rule, said: str) -> Any:
    """What a metadata string says under its rule; lists become tuples, and numbers float where the rule is Number.
    Raises ValueError."""
    if isinstance(rule, Text):
        rule.check("it", said)
        return said
    if isinstance(rule, PlainObject):
        value = loads(said, rule.most)
        rule.check("it", value)
        return value
    most_values = rule.most if isinstance(rule, ListOf) else 1
    if len(said) > LONGEST_NUMBER * most_values:
        raise ValueError(f"it has {len(said)} characters, expected at most {LONGEST_NUMBER * most_values}")
    value = loads(said, 2 * most_values + 1)
    rule.check("it", value)
    if isinstance(rule, ListOf):
        return tuple(float(item) if isinstance(rule.item, Number) else item for item in value)
    return float(value) if isinstance(rule, Number) else value
