"""What a value that was read from a file may be: each rule checks it and says in one sentence what came instead."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from .sentences import shown


class Rule(Protocol):
    """Raises ValueError "WHERE is VALUE, expected …" for a value of JSON that the rule does not allow."""

    def check(self, where: str, value: Any) -> None: ...


@dataclass(frozen=True)
class Whole:
    """A whole number, both ends included; true and 1.0 are none."""

    least: int
    most: int

    def check(self, where: str, value: Any) -> None:
        if type(value) is not int or not self.least <= value <= self.most:
            raise _other(where, value, f"a whole number from {self.least} to {self.most}")


@dataclass(frozen=True)
class Number:
    """A number, both ends included. `measured` allows what a measurement that failed gives: NaN and the infinities."""

    least: float = -math.inf
    most: float = math.inf
    measured: bool = False

    def check(self, where: str, value: Any) -> None:
        if type(value) not in (int, float):
            raise _other(where, value, "a number")
        finite = type(value) is int or math.isfinite(value)
        if self.measured and not finite:
            return
        if not (finite and self.least <= value <= self.most):
            ends = "" if (self.least, self.most) == (-math.inf, math.inf) else f" from {self.least:g} to {self.most:g}"
            raise _other(where, value, f"a finite number{ends}")


@dataclass(frozen=True)
class Text:
    """Text of at most so many characters."""

    longest: int

    def check(self, where: str, value: Any) -> None:
        if not isinstance(value, str):
            raise _other(where, value, "text")
        if len(value) > self.longest:
            raise ValueError(f"{where} has {len(value)} characters, expected at most {self.longest}")


@dataclass(frozen=True)
class ListOf:
    """A list of `least` to `most` values that all follow one rule."""

    item: Rule
    least: int
    most: int

    def check(self, where: str, value: Any) -> None:
        expected = f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"
        if not isinstance(value, list):
            raise _other(where, value, f"a list of {expected} values")
        if not self.least <= len(value) <= self.most:
            raise ValueError(f"{where} has {len(value)} values, expected {expected}")
        for number, item in enumerate(value):
            self.item.check(f"{where}[{number}]", item)


@dataclass(frozen=True)
class OrNull:
    """null, or what follows another rule."""

    rule: Rule

    def check(self, where: str, value: Any) -> None:
        if value is not None:
            self.rule.check(where, value)


@dataclass(frozen=True)
class ObjectOf:
    """An object of exactly these entries, and any of the optional ones."""

    entries: Mapping[str, Rule]
    optional: Mapping[str, Rule] = field(default_factory=dict)

    def check(self, where: str, value: Any) -> None:
        if not isinstance(value, dict):
            raise _other(where, value, "an object")
        known = {**self.entries, **self.optional}
        missing, unknown = self.entries.keys() - value.keys(), value.keys() - known.keys()
        if missing:
            raise ValueError(f"{where} has no {sorted(missing)[0]}")
        if unknown:
            raise ValueError(f"{where} has {shown(sorted(unknown)[0])}, expected {', '.join(self.entries)}")
        for name, item in value.items():
            known[name].check(f"{where}.{name}", item)


@dataclass(frozen=True)
class PlainObject:
    """An object of any entries, at most `most` names and values in all, text of at most `longest` characters among
    them."""

    most: int
    longest: int

    def check(self, where: str, value: Any) -> None:
        if not isinstance(value, dict):
            raise _other(where, value, "an object")
        left = self.most + 1
        waiting: list[Any] = [value]
        while waiting:
            left, item = left - 1, waiting.pop()
            if left < 0:
                raise ValueError(f"{where} has more than {self.most} values")
            if isinstance(item, dict):
                waiting += [*item.keys(), *item.values()]
            elif isinstance(item, list):
                waiting += item
            elif isinstance(item, str):
                Text(self.longest).check(where, item)


def _other(where: str, value: Any, expected: str) -> ValueError:
    return ValueError(f"{where} is {shown(value)}, expected {expected}")
