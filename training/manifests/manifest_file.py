"""Reads a manifest: a CSV table with a heading for each column, as any spreadsheet writes it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...masking.wording import quoted, sentence
from ..files.regular_file import open_regular
from .columns import column_of

LARGEST_MANIFEST = 4 * 2**20  # bytes
MOST_ROWS = 10_000
MOST_COLUMNS = 200
# Spreadsheets write the separator of their country; the first in which the headings name an image is meant.
SEPARATORS = ",;\t"


@dataclass(frozen=True)
class ManifestRow:
    """number: as spreadsheets count, where the headings are row 1. cells: by column, without the empty ones."""

    number: int
    cells: Mapping[str, str]


@dataclass(frozen=True)
class BadRow:
    """said: one sentence that names the row."""

    number: int
    said: str


Row = ManifestRow | BadRow


def bad_row(number: int, reason: object) -> BadRow:
    return BadRow(number, sentence(f"row {number}: {reason}"))


def read_manifest(path: Path, names: Mapping[str, str]) -> tuple[Row, ...]:
    """The rows, in order, of a CSV file in UTF-8, blank ones left out, spaces around cells too.

    names: as `columns.column_names` gives them. A row with more or fewer cells than headings is a bad one. Raises
    ValueError in one sentence where the file or its headings cannot be read.
    """
    text = _text(path)
    # Kept as they are: a prompt may have several lines.
    records = _records(text, next((one for one in SEPARATORS if _names_an_image(text, one)), SEPARATORS[0]))
    _, headings = next(records, (1, []))
    columns = _columns(headings, names)
    rows: list[Row] = []
    for number, cells in records:
        if len(rows) == MOST_ROWS:
            raise ValueError(f"manifest has more than {MOST_ROWS:,} rows, expected at most as many")
        if len(cells) == len(columns):
            rows.append(ManifestRow(number, {name: cell for name, cell in zip(columns, cells, strict=True) if cell}))
        else:
            reason = f"it has {len(cells)} cells, expected {len(columns)} as there are columns"
            rows.append(bad_row(number, f"{reason}; text with a comma stands in quotes"))
    if not rows:
        raise ValueError(f"manifest {quoted(path, 80)} holds no rows, expected one for each context")
    return tuple(rows)


def _text(path: Path) -> str:
    try:
        with open_regular(path, LARGEST_MANIFEST) as file:
            return file.read(LARGEST_MANIFEST + 1).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"manifest {quoted(path, 80)} is not UTF-8 text at byte {error.start}, expected a CSV file in UTF-8"
        ) from error
    except (ValueError, OSError) as error:
        raise ValueError(sentence(f"manifest {quoted(path, 80)} cannot be read: {error}")) from error


def _names_an_image(text: str, separator: str) -> bool:
    try:
        _, headings = next(_records(text, separator), (1, []))
    except ValueError:
        return False
    return any(heading.casefold() == "image" for heading in headings[:MOST_COLUMNS])


def _records(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """(number, cells) of what is not blank. Raises ValueError for what is no CSV."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    number = 0
    while True:
        number += 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            raise ValueError(sentence(f"row {number}: it is not CSV: {error}")) from error
        if any(cells):
            yield number, cells


def _columns(headings: list[str], names: Mapping[str, str]) -> list[str]:
    """What each heading means. Raises ValueError for a heading that is unknown or says the same as another."""
    if len(headings) > MOST_COLUMNS:
        raise ValueError(f"row 1: it has {len(headings):,} columns, expected at most {MOST_COLUMNS}")
    columns: dict[str, str] = {}
    for heading in headings:
        try:
            name = column_of(heading, names)
        except ValueError as error:
            raise ValueError(sentence(f"row 1: {error}")) from None
        if name in columns:
            both = f"{quoted(columns[name], 40)} and {quoted(heading, 40)}"
            raise ValueError(f"row 1: columns {both} mean the same, expected one of them")
        columns[name] = heading
    if "image" not in columns:
        raise ValueError("row 1: there is no column 'image', expected one with a picture or a folder in each row")
    return list(columns)
