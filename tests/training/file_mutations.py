"""Damages tensor files in every way that a disk, a network, an editor or an attacker might, from a seed."""

from __future__ import annotations

import copy
import json
import os
import random
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Pairs = list[tuple[str, Any]]
STRANGE = (
    -1, 0, 1, 2**63, 2**64, 10**30, -5, 10**9, 1e300, -1e300, float("nan"), float("inf"), -float("inf"), True, False,
    None, "", "1", "\0\n\x1b[31m\u202e", "x" * 5000, [], [[]], {}, {"a": 1}, [1, 2], 0.5,
)  # fmt: skip


@dataclass(frozen=True)
class Mutation:
    """A file that is not as it was saved.

    Behind the content lie `hole` bytes that nobody wrote, which take no room on the disk. place: what lies under the
    file's name, one of PLACES. holds: what the file was given together with a checksum that agrees; None where nobody
    made the checksum anew. sound: whether it has to load; None where that is not known beforehand.
    """

    name: str
    content: bytes
    hole: int = 0
    place: str = "file"
    holds: Any = None
    sound: bool | None = None


class Subject(Protocol):
    """A kind of file under attack."""

    def saved(self) -> bytes:
        """A whole one with a checksum that agrees."""

    def saved_by_the_first_version(self) -> bytes:
        """A whole one without a checksum."""

    def of_one_other_bit(self) -> bytes:
        """A whole one that nobody would know from the saved one but by its numbers."""

    def load(self, path: Path) -> Any:
        """As whoever goes on from it does. Raises ValueError, each time a whole sentence."""

    def resealed(self, chance: random.Random) -> Mutation:
        """One with another content and a checksum that agrees with it, as an attacker makes it."""

    def damaged(self, whole: bytes, chance: random.Random) -> Mutation:
        """One that was changed without making its checksums anew."""

    def giant(self, whole: bytes, chance: random.Random) -> Mutation:
        """One that says or takes more than anybody saved."""

    def agrees(self, loaded: Any, holds: Any) -> bool:
        """Whether what was loaded is what a file holds, or what was saved for None, to the bit."""


# The bytes as they come.


def flip_bits(content: bytearray, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 32)):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def flip_header_bits(content: bytearray, chance: random.Random) -> None:
    end = 8 + int.from_bytes(content[:8], "little")
    for _ in range(chance.randint(1, 3)):
        content[chance.randrange(end)] ^= 1 << chance.randrange(8)


def change_length(content: bytearray, chance: random.Random) -> None:
    length = int.from_bytes(content[:8], "little")
    other = chance.choice([0, 1, length - 8, length + 8, 2**20, 2**63, 2**64 - 1, chance.randrange(2 * length)])
    content[:8] = struct.pack("<Q", other)


def cut(content: bytearray, chance: random.Random) -> None:
    del content[chance.randrange(len(content)) :]


def lengthen(content: bytearray, chance: random.Random) -> None:
    content += bytes(chance.randint(1, 5000))


def blank(content: bytearray, chance: random.Random) -> None:
    """A block that was never written."""
    begin = chance.randrange(len(content))
    size = min(chance.choice([1, 64, 512, 4096]), len(content) - begin)
    content[begin : begin + size] = bytes(size)


def move_block(content: bytearray, chance: random.Random) -> None:
    size = chance.choice([1, 16, 512])
    here, there = (chance.randrange(max(1, len(content) - size)) for _ in range(2))
    content[there : there + size] = content[here : here + size]


def shift(content: bytearray, chance: random.Random) -> None:
    place = chance.randrange(len(content))
    if chance.random() < 0.5:
        content[place:place] = chance.randbytes(chance.randint(1, 9))
    else:
        del content[place : place + chance.randint(1, 9)]


def other_encoding(content: bytearray, chance: random.Random) -> None:
    """A header that is no UTF-8, or UTF-8 with a mark before it."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = content[8:end]
    place = header.index(b":")
    other = chance.choice(
        [
            b"\xef\xbb\xbf" + header,
            header.decode().encode("utf-16"),
            header.decode().encode("utf-32-le"),
            header[:place] + b"\xff" + header[place:],
            header.replace(b'"F32"', b'"\xed\xa0\x80"'),
            header.replace(b"context", b"c\xc3ntext"),
        ]
    )
    content[:end] = len(other).to_bytes(8, "little") + other


# The header as JSON.


def swap_offsets(header: Pairs, chance: random.Random) -> None:
    first, second = chance.sample([value for name, value in header if name != "__metadata__"], 2)
    first["data_offsets"], second["data_offsets"] = second["data_offsets"], first["data_offsets"]


def move_offset(header: Pairs, chance: random.Random) -> None:
    _, entry = chance.choice(header[1:])
    entry["data_offsets"][chance.randrange(2)] += chance.choice([-8, -1, 1, 8, 2**40])


def overlap(header: Pairs, chance: random.Random) -> None:
    first, second = chance.sample(header[1:], 2)
    first[1]["data_offsets"] = list(second[1]["data_offsets"])


def change_dtype(header: Pairs, chance: random.Random) -> None:
    other = ["F32", "I32", "F16", "BF16", "U8", "C64", "BOOL", "F8_E4M3", "I64", "f32", "", 7]
    chance.choice(header[1:])[1]["dtype"] = chance.choice(other)


def change_shape(header: Pairs, chance: random.Random) -> None:
    entry = chance.choice(header[1:])[1]
    shape = entry["shape"]
    entry["shape"] = chance.choice(
        [shape[::-1], [*shape, 1], shape[:-1], [0, *shape], [2**31, 2**31], [1] * 5000, [-1], [2.0], [True], "3", []]
    )


def strange_value(header: Pairs, chance: random.Random) -> None:
    name, entry = chance.choice(header)
    entry[chance.choice(list(entry))] = chance.choice(STRANGE)


def strange_entry(header: Pairs, chance: random.Random) -> None:
    place = chance.randrange(len(header))
    header[place] = (header[place][0], chance.choice(STRANGE))


def repeat_name(header: Pairs, chance: random.Random) -> None:
    header.append(copy.deepcopy(chance.choice(header)))


def remove_tensor(header: Pairs, chance: random.Random) -> None:
    del header[chance.randrange(1, len(header))]


def add_tensor(header: Pairs, chance: random.Random) -> None:
    end = max(entry["data_offsets"][1] for _, entry in header[1:])
    for number in range(chance.choice([1, 1, 40, 3000])):
        header.append((f"more.{number}", {"dtype": "F32", "shape": [0], "data_offsets": [end, end]}))


def rename_tensor(header: Pairs, chance: random.Random) -> None:
    place = chance.randrange(1, len(header))
    header[place] = (chance.choice(["leaf.1", "", "\n\0\x1b", "n" * 9999, "\u202e"]), header[place][1])


def edit_metadata(header: Pairs, chance: random.Random) -> None:
    metadata = header[0][1]
    name = chance.choice(list(metadata))
    what = chance.randrange(5)
    if what == 0:
        del metadata[name]
    elif what == 1:
        metadata[name] = str(metadata[name])[: chance.randrange(len(metadata[name]) + 1)]
    elif what == 2:
        metadata[name] = chance.choice(STRANGE)
    elif what == 3:
        metadata[name + "x"] = metadata.pop(name)
    else:
        metadata |= {f"more{number}": "x" * chance.choice([0, 10, 200_000]) for number in range(chance.choice([1, 99]))}


def reorder(header: Pairs, chance: random.Random) -> None:
    """Nothing but the order of the names, which says nothing."""
    chance.shuffle(header)


def nest(text: str, chance: random.Random) -> str:
    depth = chance.choice([20, 900, 100_000])
    opening, closing = chance.choice([("[", "]"), ('{"a":', "}")])
    return f'{text[:-1]},"deep":{opening * depth}1{closing * depth}}}'


def huge_number(text: str, chance: random.Random) -> str:
    number = chance.choice(["9" * 5000, "1e999", "-1e999", "NaN", "Infinity", "1" * 19, "0." + "1" * 9999])
    return chance.choice([text.replace(":[0,", f":[{number},", 1), f'{text[:-1]},"huge":{number}}}'])


def many_values(text: str, chance: random.Random) -> str:
    value = chance.choice(["[]", "{}", '""', "1", "null"])
    return f'{text[:-1]},"many":[{",".join([value] * chance.choice([100, 60_000]))}]}}'


BYTES = (
    flip_bits, flip_bits, flip_header_bits, change_length, cut, lengthen, blank, move_block, shift, other_encoding,
)  # fmt: skip
HEADERS = (
    swap_offsets, move_offset, overlap, change_dtype, change_shape, strange_value, strange_entry, repeat_name,
    remove_tensor, add_tensor, rename_tensor, edit_metadata, edit_metadata, reorder,
)  # fmt: skip
TEXTS = (nest, huge_number, many_values)


# More than anybody saved.


def giant(whole: bytes, chance: random.Random) -> Mutation:
    """Bytes without end behind the file, a tensor that is one hole, or a header of megabytes."""
    length = int.from_bytes(whole[:8], "little")
    text = whole[8 : 8 + length].decode().rstrip()
    what = chance.randrange(3)
    if what == 0:
        return Mutation("bytes_behind", whole, hole=chance.choice([1, 2**20, 2**32, 2**40]))
    if what == 1:
        header = json.loads(text)
        size = 2 ** chance.choice([20, 26, 27, 28, 29, 33, 40])
        name = next(name for name in header if name != "__metadata__")
        entry = {"dtype": "F32", "shape": [1, size // 4, 1], "data_offsets": [0, size]}
        return Mutation("one_hole", with_header({"__metadata__": header["__metadata__"], name: entry}), hole=size)
    unit = chance.choice([" ", "x", "\\u0041", "\U0001f3a8", '\\"', "\\\\", "{}"])
    many = unit * (chance.choice([2**20, 2**23, 2**24]) // len(unit.encode()))
    begin = text.index("{", 1)
    end = begin + json.JSONDecoder().raw_decode(text[begin:])[1] if chance.random() < 0.5 else len(text)
    added = {" ": many, "{}": f',"long":[{many.replace("}{", "},{")}]'}.get(unit, f',"long":"{many}"')
    return Mutation("header_of_megabytes", with_header(text[: end - 1] + added + text[end - 1 :]) + whole[8 + length :])


def with_header(header: dict[str, Any] | str) -> bytes:
    raw = (header if isinstance(header, str) else json.dumps(header)).encode()
    return len(raw).to_bytes(8, "little") + raw


# Where the file should be.

PLACES = ("link", "link to nothing", "link to itself", "pipe", "link to a pipe", "folder", "socket", "device")


def lay(mutated: Mutation, path: Path) -> None:
    """Puts the file, or what is in its place, at the path, in whose folder nothing else lies."""
    for old in path.parent.iterdir():
        old.rmdir() if old.is_dir() and not old.is_symlink() else old.unlink()
    place, other = mutated.place, path.with_name("other")
    if place in ("file", "link"):
        with open(path if place == "file" else other, "wb") as file:
            file.write(mutated.content)
            file.truncate(len(mutated.content) + mutated.hole)
    if place in ("pipe", "link to a pipe"):
        os.mkfifo(path if place == "pipe" else other)
    if place == "folder":
        path.mkdir()
    if place == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.path.relpath(path))
    if place.startswith("link"):
        path.symlink_to(path.name if place == "link to itself" else other.name)
    if place == "device":
        path.symlink_to("/dev/zero")


def mutation(subject: Subject, whole: bytes, seed: int) -> Mutation:
    """One mutation of a whole file of the subject, always the same for a seed."""
    chance = random.Random(seed)
    kind = chance.random()
    if kind < 0.3:
        return subject.resealed(chance)
    if kind < 0.31:
        place = chance.choice(PLACES)
        return Mutation(place, whole, place=place, sound=place == "link")
    if kind < 0.33:
        return subject.giant(whole, chance)
    return subject.damaged(whole, chance)


def damaged(whole: bytes, chance: random.Random) -> Mutation:
    """One whose bytes or header were changed, and whose checksum is as it was."""
    change: Callable[..., Any] = chance.choice(BYTES + HEADERS + TEXTS)
    if change in BYTES:
        content = bytearray(whole)
        change(content, chance)
        return Mutation(change.__name__, bytes(content))
    length = int.from_bytes(whole[:8], "little")
    text = whole[8 : 8 + length].decode()
    if change in TEXTS:
        text = change(text.rstrip(), chance)
    else:
        header = list(json.loads(text).items())
        change(header, chance)
        text = "{" + ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in header) + "}"
    return Mutation(change.__name__, with_header(text) + whole[8 + length :])
