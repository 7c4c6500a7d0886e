"""Damages tensor files in every way that a disk, a network, an editor or an attacker might, from a seed."""

from __future__ import annotations

import copy
import json
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from saved_run import record, saved

Pairs = list[tuple[str, Any]]
STRANGE = (
    -1, 0, 1, 2**63, 2**64, 10**30, -5, 10**9, 1e300, -1e300, float("nan"), float("inf"), -float("inf"), True, False,
    None, "", "1", "\0\n\x1b[31m\u202e", "x" * 5000, [], [[]], {}, {"a": 1}, [1, 2], 0.5,
)  # fmt: skip


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


BYTES = (flip_bits, flip_bits, flip_header_bits, change_length, cut, lengthen, blank, move_block, shift)
HEADERS = (
    swap_offsets, move_offset, overlap, change_dtype, change_shape, strange_value, strange_entry, repeat_name,
    remove_tensor, add_tensor, rename_tensor, edit_metadata, edit_metadata, reorder,
)  # fmt: skip
TEXTS = (nest, huge_number, many_values)


# The record.


def edited_record(chance: random.Random) -> dict[str, Any]:
    """The record with one to three values changed, removed, added or repeated, anywhere in it."""
    edited = record()
    for _ in range(chance.randint(1, 3)):
        place: Any = edited
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = chance.choice(keys)
            if isinstance(place[key], (dict, list)) and chance.random() < 0.85:
                place = place[key]
                continue
            what = chance.randrange(4)
            if what == 0:
                del place[key]
            elif what == 1 and isinstance(place, list):
                place.insert(key, copy.deepcopy(place[key]))
            elif what == 2 and type(place[key]) in (int, float):
                place[key] = place[key] * chance.choice([-1, 0.5, 1.0000001, 2, 1000]) + chance.choice([-1, 0, 1])
            else:
                place[key] = chance.choice(STRANGE)
            break
    return edited


@dataclass(frozen=True)
class Mutation:
    """A file that is not as it was saved. `sealed` is the record that the file was given together with a checksum that
    agrees; None where nobody made the checksum anew."""

    name: str
    content: bytes
    sealed: dict[str, Any] | None = None


def mutation(whole: bytes, seed: int) -> Mutation:
    """One mutation of a whole file, always the same for a seed."""
    chance = random.Random(seed)
    if chance.random() < 0.3:
        edited = edited_record(chance)
        return Mutation("edited_record", saved(edited), edited)
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
    raw = text.encode()
    return Mutation(change.__name__, len(raw).to_bytes(8, "little") + raw + whole[8 + length :])
