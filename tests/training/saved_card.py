"""A card as Save Context writes it, and what becomes of one on its way through disks, chat services and the hands of
somebody who knows how a PNG is made."""

from __future__ import annotations

import io
import random
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import file_mutations
import saved_context
from file_mutations import Mutation, blank, cut, flip_bits, lengthen, move_block, shift
from PIL import Image
from saved_context import agrees  # noqa: F401 - as a subject has it

from anima_fast_train.training.files.png_chunks import MOST_CHUNKS, MOST_PARTS, SIGNATURE
from anima_fast_train.training.trainables.context_card import CHUNK, to_card
from anima_fast_train.training.trainables.context_file import ReferenceContext
from anima_fast_train.training.trainables.stored_context import load_context

Chunk = tuple[bytes, bytes]  # name and content
BYTES = (flip_bits, flip_bits, cut, lengthen, blank, move_block, shift)


def picture() -> Image.Image:
    pixels = random.Random(5).randbytes(48 * 40 * 3)
    return Image.frombytes("RGB", (48, 40), pixels)


def saved() -> bytes:
    return to_card(saved_context.context(), picture())


def card_of(content: bytes, pieces: int = 1) -> bytes:
    """A card whose chunks, with a CRC that agrees, hold whatever bytes."""
    size = max(1, -(-len(content) // pieces))
    own = [(CHUNK, content[begin : begin + size]) for begin in range(0, max(1, len(content)), size)]
    return png([*plain_chunks(), *own, (b"IEND", b"")])


def plain_chunks() -> list[Chunk]:
    """Those of the picture but its end."""
    content = io.BytesIO()
    picture().save(content, "PNG")
    return chunks_in(content.getvalue())[:-1]


def saved_by_the_first_version() -> bytes:
    return card_of(saved_context.saved_by_the_first_version())


def of_one_other_bit() -> bytes:
    return card_of(saved_context.of_one_other_bit())


def load(path: Path) -> ReferenceContext:
    return load_context(path)


def resealed(chance: random.Random) -> Mutation:
    inner = saved_context.resealed(chance)
    return Mutation(inner.name, card_of(inner.content, chance.choice([1, 2, 50])), holds=inner.holds, sound=inner.sound)


def damaged(whole: bytes, chance: random.Random) -> Mutation:
    what = chance.random()
    if what < 0.3:
        content = bytearray(whole)
        change: Callable[..., Any] = chance.choice(BYTES)
        change(content, chance)
        return Mutation(change.__name__, bytes(content))
    if what < 0.5:
        inner = file_mutations.damaged(stored_in(whole), chance)
        return Mutation(f"{inner.name} inside", card_of(inner.content, chance.choice([1, 3])))
    if what < 0.6:
        return saved_anew(chance)
    return of_other_chunks(whole, chance)


def saved_anew(chance: random.Random) -> Mutation:
    """As services and programs do that know nothing of a context."""
    content, kind = io.BytesIO(), chance.choice(["PNG", "JPEG", "WEBP", "GIF"])
    picture().resize((chance.randint(1, 60), chance.randint(1, 60))).save(content, kind)
    return Mutation(f"saved anew as {kind}", content.getvalue(), sound=False)


def of_other_chunks(whole: bytes, chance: random.Random) -> Mutation:
    """Chunks lost, doubled, moved, renamed, emptied, added, or with a length or CRC that is not theirs."""
    chunks = chunks_in(whole)
    mine = [number for number, (name, _) in enumerate(chunks) if name == CHUNK]
    what = chance.choice(["lost", "doubled", "moved", "renamed", "emptied", "added", "split", "crc", "length", "name"])
    number = chance.choice([*mine, chance.randrange(len(chunks))])
    name, content = chunks[number]
    sound = None
    if what == "lost":
        del chunks[number]
        sound = name != CHUNK
    elif what == "doubled":
        chunks.insert(chance.randrange(len(chunks)), chunks[number])
    elif what == "moved":
        chunks.insert(chance.randrange(len(chunks)), chunks.pop(number))
    elif what == "renamed":
        chunks[number] = (chance.choice([b"afTC", b"AFTC", b"IDAT", b"tEXt", b"\0\0\0\0", b"afTc", b"IEND"]), content)
    elif what == "emptied":
        chunks[number] = (name, b"")
    elif what == "added":
        more = [(chance.choice([b"prVt", b"tEXt", b"iTXt", b"zTXt"]), chance.randbytes(chance.choice([0, 9, 9999])))]
        place = chance.randrange(1, len(chunks))
        chunks[place:place] = more * chance.choice([1, 300])
        sound = True
    elif what == "split":
        pieces = chance.choice([2, 7, 1000])
        return Mutation("split", card_of(stored_in(whole), pieces), sound=True)
    content_of = png(chunks)
    if what in ("crc", "length", "name"):
        content_of = with_other_bytes(content_of, what, number, chance)
    return Mutation(f"{what} {'of the context' if number in mine else 'of the picture'}", content_of, sound=sound)


def with_other_bytes(whole: bytes, what: str, number: int, chance: random.Random) -> bytes:
    """The CRC, the length or the name of one chunk changed, and nothing else."""
    content = bytearray(whole)
    chunks = chunks_in(whole)
    begin = len(SIGNATURE) + sum(12 + len(each) for _, each in chunks[:number])
    length = len(chunks[number][1])
    if what == "crc":
        content[begin + 8 + length + chance.randrange(4)] ^= 1 << chance.randrange(8)
    elif what == "name":
        content[begin + 4 + chance.randrange(4)] ^= 1 << chance.randrange(8)
    else:
        other = chance.choice([0, length - 1, length + 1, length + 12, 2**31 - 1, 2**31, 2**32 - 1, 2**27, 2**28])
        content[begin : begin + 4] = (other % 2**32).to_bytes(4, "big")
    return bytes(content)


def giant(whole: bytes, chance: random.Random) -> Mutation:
    """Bytes without end behind the picture or in it, a context that is one hole, or chunks without end."""
    what = chance.randrange(5)
    hole = chance.choice([1, 2**20, 2**27 - 1, 2**27, 2**28, 2**31 - 1, 2**32, 2**40])
    if what == 0:
        return Mutation("bytes_behind", whole, hole=hole, sound=True)
    head = png(plain_chunks())
    if what in (1, 2):
        name = (CHUNK, b"IDAT")[what - 1]
        said = min(hole, 2**31 - 1)
        return Mutation(f"one_hole in {name!r}", head + said.to_bytes(4, "big") + name, hole=said + 4)
    if what == 3:
        inner = file_mutations.giant(stored_in(whole), chance)
        return Mutation(f"{inner.name} inside", card_of(inner.content + bytes(min(inner.hole, 2**20))))
    count = chance.choice([900, MOST_CHUNKS - 100, MOST_CHUNKS + 1])
    name = chance.choice([b"prVt", CHUNK])
    sound = count < (MOST_PARTS if name == CHUNK else MOST_CHUNKS)
    own = [(name, b"")] * count
    return Mutation("chunks without end", png([*plain_chunks(), *own, *chunks_in(whole)[-2:]]), sound=sound)


def chunks_in(content: bytes) -> list[Chunk]:
    chunks, place = [], len(SIGNATURE)
    while place < len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        place += 12 + length
    return chunks


def stored_in(content: bytes) -> bytes:
    return b"".join(each for name, each in chunks_in(content) if name == CHUNK)


def png(chunks: list[Chunk]) -> bytes:
    parts = [SIGNATURE]
    for name, content in chunks:
        crc = zlib.crc32(name + content)
        parts.append(len(content).to_bytes(4, "big") + name + content + crc.to_bytes(4, "big"))
    return b"".join(parts)
