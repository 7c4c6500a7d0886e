"""Tables of settings for help pages, made from what the settings declare."""

from __future__ import annotations

from collections.abc import Iterable

from .checking import number_text
from .setting import Setting

HEADING = "## "


def markdown_table(settings: Iterable[Setting]) -> list[str]:
    """The lines of a Markdown table: one row for each setting that is an input of a node."""
    lines = ["| option | default | range | what it does |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {each.node_id} | {_default(each)} | {_escaped(_range(each))} | {_escaped(each.explanation)} |"
        for each in settings
        if each.node_id is not None
    ]
    return lines


def page_with_tables(page: str, settings: Iterable[Setting]) -> str:
    """The page, with the table of each topic below the heading of its name in place of any table that stood there.

    Raises ValueError where a topic has no heading.
    """
    topics: dict[str, list[Setting]] = {}
    for each in settings:
        topics.setdefault(each.topic, []).append(each)
    written: list[str] = []
    topic = ""
    for line in page.splitlines():
        if line.startswith(HEADING):
            topic = line.removeprefix(HEADING)
            written += [line, ""]
            written += [*markdown_table(topics[topic]), ""] if topic in topics else []
        elif not (topic in topics and line.startswith("|")) and (line or written[-1:] != [""]):
            written.append(line)
    missing = [topic for topic in topics if HEADING + topic not in written]
    if missing:
        raise ValueError(f"the page has no heading for {', '.join(missing)}, expected one for each topic")
    return "\n".join(written).rstrip("\n") + "\n"


def _default(declared: Setting) -> str:
    if isinstance(declared.default, bool):
        return "on" if declared.default else "off"
    return f"`{declared.default}`" if declared.default != "" else "empty"


def _range(declared: Setting) -> str:
    if declared.kind is bool:
        return "on, off"
    if declared.choices:
        return ", ".join(f"`{choice}`" for choice in declared.choices)
    if declared.kind is str:
        return "text"
    least = declared.least if declared.widget_least is None else declared.widget_least
    most = declared.most if declared.widget_most is None else declared.widget_most
    return f"{number_text(least)} to {number_text(most)} {declared.unit}".rstrip()


def _escaped(text: str) -> str:
    """Text for a cell: a bar would end it, and names in brackets would read as links."""
    return text.replace("|", "\\|").replace("[", "\\[").replace("]", "\\]")
