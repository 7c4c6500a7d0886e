"""Settings as a record of plain values by public id, for checkpoints, and as texts, for what a file says of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from .checking import values_of
from .setting import settings_of

T = TypeVar("T")


def to_record(declared: Any) -> dict[str, Any]:
    """{public id: value} of all settings of a dataclass's instance, in the order of its fields."""
    return {each.public_id: getattr(declared, each.field) for each in settings_of(type(declared))}


def from_record(cls: type[T], record: Mapping[str, Any]) -> T:
    """What `to_record` wrote. Settings that the record lacks have their defaults; what this version does not know is
    left out. Raises ValueError where a value makes no sense."""
    return cls(**values_of(cls, record, "public"))


def texts(declared: Any) -> dict[str, str]:
    """{public id: value as text} of all settings: a text as it is, anything else as JSON."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in to_record(declared).items()}


def changed_texts(declared: Any) -> dict[str, str]:
    """The same of the settings that are not at their defaults."""
    defaults = {each.public_id: each.default for each in settings_of(type(declared))}
    return {name: text for name, text in texts(declared).items() if to_record(declared)[name] != defaults[name]}
