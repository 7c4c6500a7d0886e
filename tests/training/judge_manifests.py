"""Judges what comes of mutated manifests.

    python tests/training/judge_manifests.py 2000

judges as many and says what came of them, with the longest time and the most memory that one of them took. Ends with an
error where one was neither read to exactly what was written nor refused in sentences, a row or the whole of it, or took
a second or 200 MiB.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "hostile"))

from judged import LONGEST, MOST_MEMORY, check_sentence, peak_bytes
from manifest_mutations import Written, written

from anima_fast_train.training.manifests.backbones import miniature
from anima_fast_train.training.manifests.columns import column_names, column_of
from anima_fast_train.training.manifests.manifest_file import SEPARATORS, BadRow
from anima_fast_train.training.manifests.plan import PlannedRow, planned
from anima_fast_train.training.manifests.recipe import Recipe
from anima_fast_train.training.manifests.store import Store
from anima_fast_train.training.miniature.scene import draw_reference

MODEL = miniature()


@dataclass(frozen=True)
class Outcome:
    """said: of the file as a whole, or "". seconds are the processor's."""

    name: str
    said: str
    rows: int
    bad: int
    seconds: float
    bytes: int


def draw_files(folder: Path) -> None:
    """Pictures, a mask, and what is none under a picture's name."""
    for seed, name in enumerate(("a.png", "b.png", "ü 高.png")):
        drawn = draw_reference(seed)
        drawn.picture.resize((32, 32)).save(folder / name)
    drawn.mask.resize((32, 32)).save(folder / "m.png")
    (folder / "broken.png").write_bytes(b"not a picture")
    os.mkfifo(folder / "pipe.png")
    (folder / "store").mkdir()


def judge(mutated: Written, folder: Path) -> Outcome:
    """Raises AssertionError where something else was read than was written, and whatever reading raises beside a
    ValueError."""
    path = folder / "manifest.csv"
    path.write_bytes(mutated.content)
    said, rows = "", list[PlannedRow | BadRow]()
    with peak_bytes() as peak:
        started = time.process_time()
        try:
            rows = list(planned(MODEL.rows(path), folder, MODEL, Store(folder / "store")))
        except ValueError as error:
            assert type(error) is ValueError, repr(error)
            said = str(error)
        seconds = time.process_time() - started
    if said:
        check_sentence(said)
        assert mutated.expected is None, said
    assert said or not mutated.refused
    bad = [row for row in rows if isinstance(row, BadRow)]
    for row in bad:
        check_sentence(row.said)
        assert row.said.startswith(f"row {row.number}: ")
    if mutated.expected is None and not said:
        require_read_as_written(path)
    if mutated.expected is not None:
        found = [(row.number, None) if isinstance(row, BadRow) else (row.row.number, row) for row in rows]
        assert [number for number, _ in found] == [number for number, _ in mutated.expected]
        for (number, row), (_, values) in zip(found, mutated.expected, strict=True):
            assert (row is None) == (values is None), (number, bad, values)
            if row is not None and values is not None:
                assert {name: meant(row.recipe, name, folder) for name in values} == values
    return Outcome(mutated.name, said, len(rows), len(bad), seconds, peak.bytes)


def require_read_as_written(path: Path) -> None:
    """Raises AssertionError where the cells are not those that CSV says (RFC 4180), read here a letter at a time."""
    text = path.read_bytes().decode("utf-8-sig")
    separator = next(one for one in SEPARATORS if "image" in [cell.lower() for cell in records(text, one)[0]])
    headings, *rows = records(text, separator)
    columns = [column_of(heading, column_names(MODEL.settings)) for heading in headings]
    expected = {
        number: {name: cell for name, cell in zip(columns, cells, strict=False) if cell}
        for number, cells in enumerate(rows, start=2)
        if any(cells)
    }
    read = MODEL.rows(path)
    assert [row.number for row in read] == list(expected)
    for row in read:
        assert isinstance(row, BadRow) == (len(rows[row.number - 2]) != len(columns)), row
        assert isinstance(row, BadRow) or row.cells == expected[row.number]


def records(text: str, separator: str) -> list[list[str]]:
    """Raises AssertionError for what is no CSV."""
    found, cells, cell, quoted, place = [], list[str](), "", False, 0
    while place < len(text):
        letter = text[place]
        place += 1
        if quoted and letter == '"' and text[place : place + 1] == '"':
            cell, place = cell + '"', place + 1
        elif quoted and letter == '"':
            quoted = False
            assert text[place : place + 1] in ("", separator, "\r", "\n"), "text after a quote"
        elif quoted:
            cell += letter
        elif letter == separator:
            cells, cell = [*cells, cell.strip()], ""
        elif letter in "\r\n":
            place += letter == "\r" and text[place : place + 1] == "\n"
            found.append([*cells, cell.strip()])
            cells, cell = [], ""
        elif letter == '"' and text[place - 2 : place - 1] in ("", separator, "\r", "\n"):
            quoted = True
        else:
            cell += letter
    assert not quoted, "no end of a quote"
    return [*found, [*cells, cell.strip()]] if cells or cell else found


def meant(recipe: Recipe, name: str, folder: Path) -> Any:
    """What a row asks for in a column, in the words of the mutations."""
    if name in ("image", "mask"):
        path = getattr(recipe, name)
        assert path == folder / Path(path).relative_to(folder)
        return {"a.png": "a.png", "b.png": "./b.png"}.get(path.name, path.name)
    if name == "aim":
        return "new pictures" if recipe.settings.token_norm == "prompt" else ""
    return recipe.record()[name]


def outcomes(count: int, folder: Path) -> list[Outcome]:
    draw_files(folder)
    judged = []
    for seed in range(count):
        mutated = written(seed)
        try:
            judged.append(judge(mutated, folder))
        except Exception as error:
            raise AssertionError(f"seed {seed}, {mutated.name}: {error!r}") from error
    return judged


def summed_up(judged: list[Outcome]) -> dict[str, object]:
    slowest = max(judged, key=lambda outcome: outcome.seconds)
    largest = max(judged, key=lambda outcome: outcome.bytes)
    return {
        "manifests": len(judged),
        "refused as a whole": sum(bool(outcome.said) for outcome in judged),
        "rows read": sum(outcome.rows - outcome.bad for outcome in judged),
        "rows refused": sum(outcome.bad for outcome in judged),
        "read": dict(Counter(outcome.name for outcome in judged if not outcome.said)),
        "slowest": slowest.name,
        "seconds": round(slowest.seconds, 4),
        "largest": largest.name,
        "mebibytes": round(largest.bytes / 2**20, 1),
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        judged = outcomes(int(sys.argv[1]), Path(folder))
    print(json.dumps(summed_up(judged), ensure_ascii=False))
    if any(outcome.seconds >= LONGEST or outcome.bytes >= MOST_MEMORY for outcome in judged):
        raise SystemExit("one of them took a second or 200 MiB")


if __name__ == "__main__":
    main()
