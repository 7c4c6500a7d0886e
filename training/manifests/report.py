"""What became of each row of a manifest, as a table for a spreadsheet and as text."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ...masking.wording import printable

COLUMNS = ("row", "image", "result", "state", "verdict", "seconds", "error")
LONGEST_IMAGE = 100


@dataclass(frozen=True)
class RowReport:
    """result: the path of the context, or "". state: "trained" now, "found" from before, "bad", "failed" or "left".
    seconds: of the training, whoever did it."""

    row: int
    image: str
    state: str
    result: str = ""
    verdict: str = ""
    seconds: float = 0.0
    error: str = ""

    @property
    def is_there(self) -> bool:
        return self.state in ("trained", "found")

    def line(self) -> str:
        if not self.is_there:
            return self.error
        took = f" in {self.seconds:.1f} s" if self.state == "trained" else " before"
        return f"row {self.row}: trained{took}, {self.result}: {self.verdict}"


def as_csv(rows: Sequence[RowReport]) -> bytes:
    """In UTF-8 with a mark at its beginning, without which spreadsheets take it for another encoding."""
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(COLUMNS)
    for each in rows:
        seconds = f"{each.seconds:.3f}" if each.is_there else ""
        writer.writerow([each.row, each.image, each.result, each.state, each.verdict, seconds, each.error])
    return table.getvalue().encode("utf-8-sig", errors="backslashreplace")


def as_text(rows: Sequence[RowReport]) -> str:
    """A line for each row, then how many there are of each kind."""
    return "\n".join([*(each.line() for each in rows), summary(rows)])


def summary(rows: Sequence[RowReport]) -> str:
    counted = Counter(each.state for each in rows)
    there = counted["trained"] + counted["found"]
    kinds = ", ".join(f"{count} {state}" for state, count in sorted(counted.items()))
    return f"{there} of {len(rows)} contexts are there ({kinds or 'none'})"


def image_name(text: str) -> str:
    return printable(text, LONGEST_IMAGE)
