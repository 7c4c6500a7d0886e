"""What a model is given for a batch, for a part of its rows alone."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def part_of(value: Any, part: slice, batch: int) -> Any:
    """Of whatever a model is given for a batch, what belongs to a part of its rows."""
    if isinstance(value, Tensor):
        return value[part] if value.ndim and len(value) == batch else value
    if isinstance(value, dict):
        return {name: part_of(each, part, batch) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(part_of(each, part, batch) for each in value)
    return value


def options_for(options: dict[str, Any], part: slice, batch: int) -> dict[str, Any]:
    """The transformer_options of a call for a part of its rows."""
    entries = options.get("cond_or_uncond", [])
    if part.stop - part.start == batch or not entries:
        return options
    each = batch // len(entries)
    kept = slice(part.start // each, -(-part.stop // each))
    own = dict(options)
    own.update((name, own[name][kept]) for name in ("cond_or_uncond", "uuids") if name in own)
    return own
