"""Manifests as people, spreadsheets and strangers write them, with what each of them says: sound ones in every dialect,
some with cells that make no sense, some damaged byte by byte."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from anima_fast_train.training.settings import TrainingSettings

DEFAULTS = TrainingSettings()

HEADINGS = {
    "steps": ("steps", "train_steps", "Train Steps", "train-steps"),
    "training_image_size": ("size", "training_image_size", "Training Image Size"),
    "num_tokens": ("num_tokens", "tokens", " Tokens "),
    "prior_weight": ("prior_weight", "Prior-Weight"),
    "per_block": ("per_block",),
    "learning_rate": ("learning_rate", "Learning Rate"),
    "seed": ("seed", "SEED"),
    "aim": ("aim",),
    "init_text": ("init_text",),
}
# By column: cells that are taken, with what they mean, and cells that are refused.
SOUND: dict[str, tuple[tuple[str, Any], ...]] = {
    "image": (("a.png", "a.png"), ("./b.png", "./b.png"), ("ü 高.png", "ü 高.png")),
    "mask": (("m.png", "m.png"),),
    "prompt": (
        ("", ""),
        ("1girl, smile", "1girl, smile"),
        ('say "hi"; now', 'say "hi"; now'),
        ("first line\nsecond line", "first line\nsecond line"),
        ("tab\there", "tab\there"),
        ("=1+1 \u202e', \x1b[2J", "=1+1 \u202e', \x1b[2J"),
        ("x" * 5000, "x" * 5000),
    ),
    "steps": (("", DEFAULTS.steps), ("1", 1), ("+20", 20), ("100000", 100_000)),
    "training_image_size": (("", 128), ("64", 64), ("4096", 4096)),
    "num_tokens": (("", DEFAULTS.num_tokens), ("4", 4), ("0004", 4)),
    "prior_weight": (("", DEFAULTS.prior_weight), ("0", 0.0), ("2.50", 2.5), ("1e2", 100.0), (".5", 0.5), ("3.", 3.0)),
    "per_block": (("", True), ("yes", True), ("FALSE", False), ("off", False), ("1", True)),
    "learning_rate": (("", "auto"), ("0.1:100, 0.01", "0.1:100, 0.01"), ("auto", "auto")),
    "seed": (("", 0), ("18446744073709551615", 2**64 - 1)),
    "aim": (("", "new pictures"), ("new pictures", "new pictures")),
    "init_text": (("", ""), ("0", "0"), ("red hair, long coat", "red hair, long coat")),
}
UNSOUND: dict[str, tuple[str, ...]] = {
    "image": (
        "", "gone.png", "/dev/zero", "/etc/passwd", "..", "x" * 5000, "a\0b", "~nobody/x.png", "broken.png", "pipe.png",
    ),
    "mask": ("", "gone.png", "/dev/stdin", "a.png/m.png", "broken.png"),
    "prompt": ("[name], 1girl", "x" * 30_000),
    "steps": ("0", "-1", "1.5", "abc", "100001", "1e3", "９", "9" * 90, "0x10", "1_000", "nan"),
    "training_image_size": ("31", "5000", "64px", "64x64"),
    "num_tokens": ("0", "4097", "four"),
    "prior_weight": ("-1", "nan", "inf", "1,5", "1e999", "1e9", "--1", "1__0"),
    "per_block": ("maybe", "2", "truth"),
    "learning_rate": ("fast", "-1", "1e9", "0.1:" * 500),
    "seed": ("-1", "18446744073709551616", "1.0"),
    "aim": ("new picture", "x" * 3000),
    "init_text": ("x" * 10_001,),
}  # fmt: skip


@dataclass(frozen=True)
class Written:
    """expected: for each row that is not blank its number and its values by column, None for a bad one; None where that
    is not known. refused: whether the file as a whole has to be."""

    name: str
    content: bytes
    expected: tuple[tuple[int, dict[str, Any] | None], ...] | None
    refused: bool = False


def written(seed: int) -> Written:
    chance = random.Random(f"manifest {seed}")
    table = _table(chance)
    kind = chance.choice([_sound, _sound, _strange_heading, _ragged, _damaged, _damaged, _monstrous])
    return kind(chance, table)


@dataclass(frozen=True)
class Table:
    columns: list[str]
    headings: list[str]
    rows: list[list[str]]
    expected: list[dict[str, Any] | None]


def _table(chance: random.Random) -> Table:
    columns = [
        "image",
        "mask",
        *chance.sample([name for name in SOUND if name not in ("image", "mask")], chance.randint(1, 6)),
    ]
    chance.shuffle(columns)
    headings = [chance.choice(HEADINGS.get(name, (name, name.upper()))) for name in columns]
    rows, expected = [], []
    for number in range(chance.randint(1, 12)):
        cells: list[str] = []
        values: dict[str, Any] | None = {}
        for name in columns:
            if chance.random() < 0.04:
                cells.append(chance.choice(UNSOUND[name]))
                values = None
                continue
            text, meant = chance.choice(SOUND[name])
            if name == "seed":  # so that no two rows are the same
                text, meant = str(number), number
            pad = chance.choice(["", "", " "])
            cells.append(f"{pad}{text}{pad}")
            if values is not None:
                values[name] = meant
        rows.append(cells)
        expected.append(values)
    return Table(columns, headings, rows, expected)


def _text(table: Table, chance: random.Random, separator: str = ",") -> str:
    always, ending = chance.random() < 0.3, chance.choice(["\n", "\r\n"])

    def cell(text: str) -> str:
        needed = any(mark in text for mark in (separator, '"', "\n", "\r"))
        return '"' + text.replace('"', '""') + '"' if needed or always else text

    lines = [separator.join(map(cell, line)) for line in (table.headings, *table.rows)]
    return ending.join(lines) + chance.choice(["", ending])


Expected = tuple[tuple[int, dict[str, Any] | None], ...]


def _numbered(table: Table) -> Expected:
    return _without_doubles(tuple(enumerate(table.expected, start=2)))


def _without_doubles(expected: Expected) -> Expected:
    """A row that asks for the same as one before it is a bad one."""
    seen: list[dict[str, Any]] = []
    found: list[tuple[int, dict[str, Any] | None]] = []
    for number, values in expected:
        found.append((number, None if values in seen else values))
        seen += [values] if values is not None else []
    return tuple(found)


def _sound(chance: random.Random, table: Table) -> Written:
    separator, mark = chance.choice([(",", b""), (";", b""), ("\t", b""), (",", b"\xef\xbb\xbf")])
    return Written(f"in {separator!r}", mark + _text(table, chance, separator).encode(), _numbered(table))


def _strange_heading(chance: random.Random, table: Table) -> Written:
    made = chance.choice(["unknown", "twice", "without image", "nobody"])
    headings, rows = list(table.headings), [list(row) for row in table.rows]
    place = chance.randrange(len(headings))
    if made == "unknown":
        headings[place] = chance.choice(
            ["stepz", "", "x" * 4000, "../x", "\x1b[2J", "mask;prompt", "precision", "image2"]
        )
    elif made == "twice":
        headings[place] = table.headings[place - 1].upper()
    elif made == "without image":
        headings[table.columns.index("image")] = "caption_dropout"
    else:
        headings, rows = headings[:1] if headings[0] != "image" else ["mask"], []
    broken = Table(table.columns, headings, rows, table.expected)
    return Written(f"heading {made}", _text(broken, chance).encode(), None, refused=True)


def _ragged(chance: random.Random, table: Table) -> Written:
    """A row with a cell more or less, and blank ones, which count as rows but say nothing."""
    rows, expected = [], []
    for number, (cells, values) in enumerate(zip(table.rows, table.expected, strict=True), start=2):
        kind = chance.choice(["whole", "whole", "more", "less"])
        changed = {"whole": cells, "more": [*cells, "1girl"], "less": cells[:-1]}[kind]
        if kind == "less" and not any(map(str.strip, changed)):
            changed = cells
        rows.append(changed)
        expected.append((number, values if changed is cells else None))
    blanks = [[""] * chance.randint(0, 3) for _ in range(chance.randint(0, 2))]
    return Written(
        "ragged",
        _text(Table(table.columns, table.headings, rows + blanks, []), chance).encode(),
        _without_doubles(tuple(expected)),
    )


def _damaged(chance: random.Random, table: Table) -> Written:
    content = bytearray(_text(table, chance).encode())
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(content) + 1)
        kind = chance.choice(["flip", "insert", "remove", "cut"])
        if kind == "flip" and place < len(content):
            content[place] ^= 1 << chance.randrange(8)
        elif kind == "insert":
            content[place:place] = chance.choice(
                [b'"', b"\0", b"\r", b"\xff", b",", b"\n", b"\x1b", b'""', b"\xed\xa0\x80"]
            )
        elif kind == "remove":
            del content[place : place + chance.randint(1, 20)]
        elif kind == "cut":
            del content[place:]
        content = content or bytearray(b"\n")
    return Written("damaged", bytes(content), None)


def _monstrous(chance: random.Random, table: Table) -> Written:
    """What would cost time and memory."""
    head = ",".join(f'"{heading}"' for heading in table.headings).encode() + b"\n"
    made = chance.choice(["long cell", "commas", "lines", "quotes", "columns", "rows", "large", "nothing", "zeros"])
    content = {
        "long cell": head + b"x" * 3_000_000,
        "commas": head + b"," * 3_000_000,
        "lines": head + b"\n" * 3_000_000,
        "quotes": head + b'"' * 3_000_001,
        "columns": b"image" + b",seed" * 500_000 + b"\n",
        "rows": head + b"x\n" * 1_000_000,
        "large": head + b"x,y\n" * 2_000_000,
        "nothing": chance.choice([b"", b"\n", b"\xef\xbb\xbf", b",,,\n", b"   "]),
        "zeros": b"\0" * 1_000_000,
    }[made]
    return Written(f"monstrous {made}", content, None, refused=made not in ("commas",))
