"""The rows of compare-carry as tables: medians over the references for each training and guidance."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

MAIN = ("identity", "top1", "obedience", "freedom", "leak", "inside_before", "inside_after", "elsewhere", "seconds")
PARTS = ("colours", "hairstyle", "outfit", "accessory", "hairstyle_seen", "outfit_seen", "accessory_seen")
OBEYED = ("obeys_background", "obeys_pattern", "obeys_expression", "obeys_pose", "obeys_framing", "own_pose")

# What stands beside the trainings: how a row names its figures, and what they are by definition.
BESIDE: dict[str, tuple[str, dict[str, float]]] = {
    "no context": ("base", {"identity": 0.0, "obedience": 1.0, "freedom": 1.0}),
    "true pictures": ("true", {"identity": 1.0}),
}

# Without a context, where the prompt names the character as well as captions can, and where it names one whole that the
# model was pretrained on.
IN_WORDS = {
    "in_words": "no context, named in the prompt",
    "known_in_words": "no context, a known character named in the prompt",
}

Rows = Sequence[dict[str, Any]]


def table(rows: Rows) -> str:
    """Markdown: the figures of all, parts and things obeyed alone, and the frontier over the context's scale."""
    seeds = len({row["seed"] for row in rows})
    return "\n\n".join(
        [
            f"Medians over {seeds} reference{'' if seeds == 1 else 's'}. identity: 0 is no context, 1 true pictures; "
            "obedience and freedom: shares of what the model without context has.",
            _of(rows, MAIN),
            "Parts of the character: 0 is no context, 1 true pictures. PART seen: the share of samples that show it, "
            "of those beside which a true picture is read rightly.",
            _of(rows, PARTS),
            "What is obeyed, as shares of the model without context. own pose: how much of the reference's pose is "
            "seen where the prompt leaves the pose open.",
            _of(rows, OBEYED),
            "identity / obedience at each scale of the context, of a few samples:",
            _frontier(rows),
        ]
    )


def median(rows: Rows, key: str) -> float | None:
    """Over the rows that have the figure; None where none has."""
    values = [row[key] for row in rows if row.get(key) is not None]
    return statistics.median(values) if values else None


def _of(rows: Rows, columns: tuple[str, ...]) -> str:
    """A line for each training and guidance, below those of no context and of true pictures where they are known."""
    lines = [
        f"| training | guidance | {' | '.join(column.replace('_', ' ') for column in columns)} |",
        "|---" * (len(columns) + 2) + "|",
    ]
    for guidance in dict.fromkeys(row["guidance"] for row in rows):
        measured = [row for row in rows if row["guidance"] == guidance]
        for name, (ending, known) in BESIDE.items():
            figures = [known.get(column, median(measured, f"{column}_{ending}")) for column in columns]
            if any(figure is not None for figure in figures):
                lines.append(_line(name, guidance, figures))
        for key, name in IN_WORDS.items():
            figures = [median([row[key] for row in measured], column) for column in columns]
            lines.append(_line(name, guidance, figures))
    for name, guidance in _groups(rows):
        chosen = _chosen(rows, name, guidance)
        lines.append(_line(name, guidance, [median(chosen, column) for column in columns]))
    return "\n".join(lines)


def _frontier(rows: Rows) -> str:
    scales = [scale for scale, *_ in rows[0]["frontier"]]
    lines = [
        f"| training | guidance | {' | '.join(f'{scale:g}' for scale in scales)} |",
        "|---" * (len(scales) + 2) + "|",
    ]
    for name, guidance in _groups(rows):
        chosen = _chosen(rows, name, guidance)
        pairs = []
        for number in range(len(scales)):
            shown, obeyed = (
                statistics.median(
                    [row["frontier"][number][which] for row in chosen if row["frontier"][number][which] is not None]
                    or [float("nan")]
                )
                for which in (1, 2)
            )
            pairs.append(f"{shown:.2f} / {obeyed:.2f}")
        lines.append(f"| {name} | {guidance:g} | {' | '.join(pairs)} |")
    return "\n".join(lines)


def _groups(rows: Rows) -> list[tuple[str, float]]:
    return list(dict.fromkeys((row["training"], row["guidance"]) for row in rows))


def _chosen(rows: Rows, name: str, guidance: float) -> Rows:
    return [row for row in rows if (row["training"], row["guidance"]) == (name, guidance)]


def _line(name: str, guidance: float, figures: Sequence[float | None]) -> str:
    shown = ["-" if figure is None else f"{figure:.2f}" for figure in figures]
    return f"| {name} | {guidance:g} | {' | '.join(shown)} |"
