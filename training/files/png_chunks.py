"""Finds what a private chunk of a PNG holds, without decoding the picture and without reading more than is asked for.

A PNG is its signature and chunks, each of them four bytes that say its length, four that name it, its content, and the
CRC of name and content (PNG, third edition, W3C 2025, section 5).
"""

from __future__ import annotations

import io
import os
import zlib
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import BinaryIO, NamedTuple

SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = b"IEND"
LONGEST_CHUNK = 2**31 - 1
MOST_PARTS = 1000  # chunks of the one name that is asked for
MOST_CHUNKS = 50_000  # of any kind; writers of 8 kB each reach it at 400 MB
AROUND = 12  # bytes of a chunk beside its content
PIECE = 2**20


class Span(NamedTuple):
    """Bytes of a file."""

    begin: int
    length: int


class FileParts(io.RawIOBase):
    """Spans of a file, read as one file after the other and nothing beside them; the file is to stay open."""

    def __init__(self, file: BinaryIO, spans: Sequence[Span]) -> None:
        self._file, self._spans, self._place = file, spans, 0
        self._ends = list(accumulate(span.length for span in spans))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._ends[-1] if self._ends else 0}[whence]
        self._place = max(0, base + offset)
        return self._place

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """As many bytes as fit, fewer at the end alone."""
        view, filled = memoryview(buffer).cast("B"), 0
        while filled < len(view):
            number = bisect_right(self._ends, self._place)
            if number == len(self._spans):
                break
            left = self._ends[number] - self._place
            self._file.seek(self._spans[number].begin + self._spans[number].length - left)
            arrived = self._file.readinto(view[filled : filled + left])  # type: ignore[attr-defined]
            if not arrived:  # the file was cut off since
                break
            filled, self._place = filled + arrived, self._place + arrived
        return filled


def chunks_of(file: BinaryIO, name: bytes, most_bytes: int) -> list[Span]:
    """Where the content of all chunks of this name lies, their CRC checked; none where there is no such chunk.

    Raises ValueError in the second half of a sentence where the file is no PNG, is cut short, has more than MOST_CHUNKS
    chunks, or holds more than `most_bytes` or MOST_PARTS chunks under that name.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(len(SIGNATURE)) != SIGNATURE:
        raise ValueError("is not a PNG file")
    found: list[Span] = []
    place, left = len(SIGNATURE), most_bytes
    for _ in range(MOST_CHUNKS):
        file.seek(place)
        head = file.read(8)
        length = int.from_bytes(head[:4], "big")
        if head[4:] == name and length > left:
            raise ValueError(f"is damaged: its context has more than {most_bytes / 1e6:.0f} MB")
        if len(head) < 8 or length > LONGEST_CHUNK or place + AROUND + length > size:
            if found and head[4:] != name:  # what is lost is part of the picture alone
                break
            raise ValueError(f"is cut short: a chunk of it ends behind its {size} bytes")
        if head[4:] == name:
            if len(found) == MOST_PARTS:
                raise ValueError(f"is damaged: its context lies in more than {MOST_PARTS} chunks")
            found.append(Span(place + 8, length))
            left -= length
        if head[4:] == END:
            break
        place += AROUND + length
    else:
        raise ValueError(f"is damaged: it has more than {MOST_CHUNKS} chunks")
    for span in found:
        _check_crc(file, name, span)
    return found


def _check_crc(file: BinaryIO, name: bytes, span: Span) -> None:
    crc, left = zlib.crc32(name), span.length
    file.seek(span.begin)
    while left:
        piece = file.read(min(PIECE, left))
        if not piece:
            raise ValueError("is cut short: it was changed while it was read")
        crc, left = zlib.crc32(piece, crc), left - len(piece)
    if file.read(4) != crc.to_bytes(4, "big"):
        raise ValueError("is damaged: its context does not agree with its CRC")
