"""Tensors and text in one safetensors file that says by a checksum whether it is as it was written.

Equal content gives equal bytes, which the library's own writer does not promise: its metadata come in any order. What
is read has been measured against limits first, so that no file, damaged or made to harm, costs more than they allow.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from .atomic_file import write_atomically
from .regular_file import open_regular, reason_of
from .sentences import shown
from .tensor_file_header import (
    CHECKSUM,
    DTYPE_NAMES,
    DTYPES,
    Entry,
    Header,
    Kind,
    Limits,
    check_entries,
    check_metadata,
    header_bytes,
    parse_header,
)
from .tensor_survey import Survey, check_values, ends, read_into, survey

# The largest header that the safetensors library reads; beyond it the first bytes are those of another kind of file.
LARGEST_HEADER = 100_000_000

_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class TensorFile:
    """What a file held: tensors by name, on the CPU and their own, and the metadata without the checksum."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def write(
    path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str], limits: Limits, kind: Kind
) -> None:
    """Write the file whole or not at all, with the kind's format and version and a checksum in its metadata, unless it
    is of another project.

    Raises OSError in one sentence where it cannot be written, and ValueError before anything is touched where `read`
    would not take the file back.
    """
    write_atomically(path, to_bytes(tensors, metadata, limits, kind))


def to_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str], limits: Limits, kind: Kind) -> bytes:
    """The content of the file; the same for the same tensors and metadata in any order. Raises ValueError as `write`
    does."""
    kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    for name, tensor in kept.items():
        if tensor.dtype not in limits.dtypes:
            raise ValueError(f"{shown(name)} has dtype {tensor.dtype}, expected {_listed(limits.dtypes)}")
        check_values(name, Survey("", *ends(tensor)) if tensor.numel() else Survey(""), limits)
    # The widest numbers first, as the library has it, so that each lies at a multiple of its width.
    names = sorted(kept, key=lambda name: (-kept[name].element_size(), name))
    entries, end = [], 0
    for name in names:
        begin, end = end, end + kept[name].nbytes
        entries.append(Entry(name, DTYPE_NAMES[kept[name].dtype], tuple(kept[name].shape), begin, end))
    content = {name: _bytes_of(kept[name]) for name in names}
    said = dict(metadata)
    if not kind.foreign:
        said |= {"format": kind.format, "format_version": kind.version}
    digests = {name: hashlib.sha256(part).hexdigest() for name, part in content.items()}
    # A stand-in first: text that is no text must be refused before it is hashed.
    check_metadata(said | {CHECKSUM: "0" * 64}, limits)
    check_entries(tuple(entries), limits)
    if not kind.foreign:
        said[CHECKSUM] = checksum(entries, digests, said)
    header = header_bytes(Header(tuple(entries), said))
    if len(header) - 8 > limits.header_bytes:
        raise ValueError(f"the file's header has {len(header) - 8} bytes, expected at most {limits.header_bytes}")
    return b"".join([header, *content.values()])


def read(path: str | Path, limits: Limits, kind: Kind) -> TensorFile:
    """Read a file that `write` wrote, or one of the kind's older versions, in full.

    It is read twice: in pieces, to be judged, and then into tensors, so that what is refused takes no memory however
    large it is. Raises ValueError in the second half of a sentence, such as "is cut short: it has 12 of 40 bytes"; the
    caller puts the file's name before it with `sentences.about_file`. No other exception comes from a file that is not
    there, no file, or not a whole one of this kind within the limits.
    """
    with opened(path) as file:
        return read_from(file, limits, kind)


def read_from(file: BinaryIO, limits: Limits, kind: Kind) -> TensorFile:
    """As `read`, from a file that `opened` gave, or from a part of one."""
    header = _read_header(file, limits, kind)
    begin = file.tell()
    surveys = _judged(file, header, limits, kind)
    file.seek(begin)
    tensors = {entry.name: _read_tensor(file, entry, surveys[entry.name]) for entry in header.entries}
    return TensorFile(tensors, {name: value for name, value in header.metadata.items() if name != CHECKSUM})


def read_metadata(path: str | Path, limits: Limits, kind: Kind) -> dict[str, str]:
    """What a file says of itself, without its tensors and unverified: enough to list many files.

    Raises ValueError as `read` does.
    """
    with opened(path) as file:
        return read_metadata_from(file, limits, kind)


def read_metadata_from(file: BinaryIO, limits: Limits, kind: Kind) -> dict[str, str]:
    """As `read_metadata`, from a file that `opened` gave, or from a part of one."""
    return dict(_read_header(file, limits, kind).metadata)


@contextmanager
def opened(path: str | Path) -> Iterator[BinaryIO]:
    """The file for reading; what the system refuses, now or later, is a ValueError like those of `read`."""
    try:
        file = open_regular(path)
    except ValueError as error:
        raise ValueError(f"cannot be read: {error}") from error
    try:
        with file:
            yield file
    except OSError as error:
        raise ValueError(f"cannot be read: {reason_of(error)}") from error


def checksum(entries: list[Entry] | tuple[Entry, ...], digests: Mapping[str, str], metadata: Mapping[str, str]) -> str:
    """SHA-256 over each tensor's name, dtype, shape and digest and all metadata but the checksum, in one order
    whatever the order in the file."""
    described = sorted([entry.name, entry.dtype, list(entry.shape), digests[entry.name]] for entry in entries)
    said = sorted([name, value] for name, value in metadata.items() if name != CHECKSUM)
    return hashlib.sha256(json.dumps([described, said]).encode("ascii")).hexdigest()


def _read_header(file: BinaryIO, limits: Limits, kind: Kind) -> Header:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    beginning = file.read(9)
    if len(beginning) < 8:
        raise ValueError(f"is cut short: it has {size} bytes")
    length = int.from_bytes(beginning[:8], "little")
    if length > LARGEST_HEADER or beginning[8:] != b"{":
        raise ValueError("is not a safetensors file")
    if 8 + length > size:
        raise ValueError(f"is cut short: it has {size} bytes and its header alone has {length}")
    if length > limits.header_bytes:
        raise ValueError(f"is not {kind.title}: its header has {length} bytes, expected at most {limits.header_bytes}")
    text = b"{" + file.read(length - 1)
    if len(text) < length:
        raise ValueError(f"is cut short: its header has {len(text)} of {length} bytes")
    return parse_header(text, size, limits, kind)


def _judged(file: BinaryIO, header: Header, limits: Limits, kind: Kind) -> dict[str, Survey]:
    """Reads all tensors once. Raises ValueError where the checksum is missing or not that of the content, and for
    numbers beyond the limits."""
    metadata = dict(header.metadata)
    found = None if kind.foreign else metadata.pop(CHECKSUM, None)
    # A digest under another name is a checksum whose name was damaged, maybe with the version.
    excused = kind.version_of(metadata) in kind.unsealed and not any(map(_DIGEST.fullmatch, metadata.values()))
    if found is None and not (excused or kind.foreign):
        raise ValueError("is damaged: its checksum is missing")
    surveys = {entry.name: survey(file, entry) for entry in header.entries}
    digests = {name: each.digest for name, each in surveys.items()}
    if found is not None and found != checksum(header.entries, digests, metadata):
        raise ValueError("is damaged: its content does not agree with its checksum")
    try:
        for name, each in surveys.items():
            check_values(name, each, limits)
    except ValueError as error:
        raise ValueError(f"is damaged: {error}") from error
    return surveys


def _read_tensor(file: BinaryIO, entry: Entry, judged: Survey) -> Tensor:
    """One tensor in memory of its own. Raises ValueError where it is not the one that was judged."""
    tensor = torch.empty(entry.shape, dtype=DTYPES[entry.dtype])
    content = _bytes_of(tensor)
    read_into(file, content, entry, len(content))
    if hashlib.sha256(content).hexdigest() != judged.digest:
        raise ValueError("is damaged: it was changed while it was read")
    return tensor


def _bytes_of(tensor: Tensor) -> memoryview:
    """The bytes of a contiguous tensor on the CPU; writing there writes the tensor."""
    return tensor.reshape(-1).view(torch.uint8).numpy().data


def _listed(dtypes: tuple[torch.dtype, ...]) -> str:
    return " or ".join(str(dtype) for dtype in dtypes)
