"""Turns a declared setting into an input of a node, so that no node writes a default, a range or a tooltip again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from comfy_api.latest import io

from ...declared import EXPERT, Setting, settings_of


def inputs_of(group: type) -> list[io.Input]:
    """The inputs of all settings of a dataclass that are meant for nodes, in the order of its fields."""
    return [widget(each) for each in settings_of(group) if each.node_id is not None]


def widget(declared: Setting, optional: bool = False, **more: Any) -> io.Input:
    """The input of one setting. `more` is what only ComfyUI knows of it, such as control_after_generate."""
    given: dict[str, Any] = {"default": declared.default, "tooltip": declared.explanation, "optional": optional, **more}
    if declared.audience == EXPERT:
        given["advanced"] = True
    assert declared.node_id is not None
    if declared.choices:
        return io.Combo.Input(declared.node_id, options=list(declared.choices), **given)
    if declared.kind is bool:
        return io.Boolean.Input(declared.node_id, **given)
    if declared.kind is str:
        return io.String.Input(declared.node_id, **given)
    least = declared.least if declared.widget_least is None else declared.widget_least
    most = declared.most if declared.widget_most is None else declared.widget_most
    given |= {"min": least, "max": most, "step": declared.step}
    if declared.kind is int:
        return io.Int.Input(declared.node_id, **given)
    return io.Float.Input(declared.node_id, **given, round=None if declared.rounded else False)


def in_order(
    settings: Iterable[Setting],
    order: Sequence[str],
    sockets: Mapping[str, io.Input],
    first_optional: str = "",
    more: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[io.Input]:
    """The settings' widgets and the sockets in the order of their ids in `order`; a setting that is not there comes
    last.

    From `first_optional` on all widgets are optional. more: further arguments of a widget, by id.
    """
    declared = {each.node_id: each for each in settings}
    ids = [*order, *(each for each in declared if each is not None and each not in order)]
    optional_from = ids.index(first_optional) if first_optional else len(ids)
    made = []
    for place, name in enumerate(ids):
        if name in sockets:
            made.append(sockets[name])
        elif name in declared:
            made.append(widget(declared[name], place >= optional_from, **(more or {}).get(name, {})))
    return made
