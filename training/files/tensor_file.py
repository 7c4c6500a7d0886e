"""Tensors and text in one safetensors file that says by a checksum whether it is as it was written.

Equal content gives equal bytes, which the library's own writer does not promise: its metadata come in any order. What
is read has been measured against limits first, so that no file, damaged or made to harm, costs more than they allow.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
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
    """Write the file whole or not at all, with the kind's format and version and a checksum in its metadata.

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
        check_values(name, tensor, limits)
    # The widest numbers first, as the library has it, so that each lies at a multiple of its width.
    names = sorted(kept, key=lambda name: (-kept[name].element_size(), name))
    entries, end = [], 0
    for name in names:
        begin, end = end, end + kept[name].nbytes
        entries.append(Entry(name, DTYPE_NAMES[kept[name].dtype], tuple(kept[name].shape), begin, end))
    content = {name: _bytes_of(kept[name]) for name in names}
    said = {**metadata, "format": kind.format, "format_version": kind.version}
    digests = {name: hashlib.sha256(part).hexdigest() for name, part in content.items()}
    # A stand-in first: text that is no text must be refused before it is hashed.
    check_metadata(said | {CHECKSUM: "0" * 64}, limits)
    check_entries(tuple(entries), limits)
    said[CHECKSUM] = checksum(entries, digests, said)
    header = header_bytes(Header(tuple(entries), said))
    if len(header) - 8 > limits.header_bytes:
        raise ValueError(f"the file's header has {len(header) - 8} bytes, expected at most {limits.header_bytes}")
    return b"".join([header, *content.values()])


def read(path: str | Path, limits: Limits, kind: Kind) -> TensorFile:
    """Read a file that `write` wrote, or one of the kind's older versions, in full.

    Raises ValueError in the second half of a sentence, such as "is cut short: it has 12 of 40 bytes"; the caller puts
    the file's name before it with `sentences.about_file`. No other exception comes from a file that is not there, no
    file, or not a whole one of this kind within the limits.
    """
    try:
        file = open_regular(path)
    except ValueError as error:
        raise ValueError(f"cannot be read: {error}") from error
    try:
        with file:
            header = _read_header(file, os.fstat(file.fileno()).st_size, limits, kind)
            tensors, digests = _read_tensors(file, header.entries)
    except OSError as error:
        raise ValueError(f"cannot be read: {reason_of(error)}") from error
    metadata = dict(header.metadata)
    try:
        _verify(metadata.pop(CHECKSUM, None), header.entries, digests, metadata, kind)
        for name, tensor in tensors.items():
            check_values(name, tensor, limits)
    except ValueError as error:
        raise ValueError(f"is damaged: {error}") from error
    return TensorFile(tensors, metadata)


def read_metadata(path: str | Path, limits: Limits, kind: Kind) -> dict[str, str]:
    """What a file says of itself, without its tensors and unverified: enough to list many files.

    Raises ValueError as `read` does.
    """
    try:
        with open_regular(path) as file:
            return dict(_read_header(file, os.fstat(file.fileno()).st_size, limits, kind).metadata)
    except OSError as error:
        raise ValueError(f"cannot be read: {reason_of(error)}") from error


def checksum(entries: list[Entry] | tuple[Entry, ...], digests: Mapping[str, str], metadata: Mapping[str, str]) -> str:
    """SHA-256 over each tensor's name, dtype, shape and digest and all metadata but the checksum, in one order
    whatever the order in the file."""
    described = sorted([entry.name, entry.dtype, list(entry.shape), digests[entry.name]] for entry in entries)
    said = sorted([name, value] for name, value in metadata.items() if name != CHECKSUM)
    return hashlib.sha256(json.dumps([described, said]).encode("ascii")).hexdigest()


def check_values(name: str, tensor: Tensor, limits: Limits) -> None:
    """Raises ValueError where a number is not finite or its magnitude beyond the limit for this tensor."""
    if tensor.numel() == 0:
        return
    low, high = (end.item() for end in tensor.aminmax())  # NaN where there is one; no copy, unlike isfinite
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"{shown(name)} hold numbers that are not finite")
    largest = limits.largest_of(name)
    if max(-low, high) > largest:
        raise ValueError(f"{shown(name)} hold numbers up to {max(-low, high):.4g}, expected at most {largest:g}")


def _read_header(file: BinaryIO, size: int, limits: Limits, kind: Kind) -> Header:
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


def _read_tensors(file: BinaryIO, entries: tuple[Entry, ...]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors, read one after another into memory of their own, and the digest of each one's bytes."""
    tensors, digests = {}, {}
    for entry in entries:
        tensor = torch.empty(entry.shape, dtype=DTYPES[entry.dtype])
        content = _bytes_of(tensor)
        arrived = file.readinto(content)  # type: ignore[attr-defined]
        if arrived < len(content):
            raise ValueError(f"is cut short: tensor {shown(entry.name)} has {arrived} of {len(content)} bytes")
        tensors[entry.name], digests[entry.name] = tensor, hashlib.sha256(content).hexdigest()
    return tensors, digests


def _verify(
    found: str | None, entries: tuple[Entry, ...], digests: Mapping[str, str], metadata: Mapping[str, str], kind: Kind
) -> None:
    """Raises ValueError where the checksum is not that of the content, or is missing where there should be one."""
    if found is not None:
        if found != checksum(entries, digests, metadata):
            raise ValueError("its content does not agree with its checksum")
    # A digest under another name is a checksum whose name was damaged, maybe with the version.
    elif kind.version_of(metadata) not in kind.unsealed or any(map(_DIGEST.fullmatch, metadata.values())):
        raise ValueError("its checksum is missing")


def _bytes_of(tensor: Tensor) -> memoryview:
    """The bytes of a contiguous tensor on the CPU; writing there writes the tensor."""
    return tensor.reshape(-1).view(torch.uint8).numpy().data


def _listed(dtypes: tuple[torch.dtype, ...]) -> str:
    return " or ".join(str(dtype) for dtype in dtypes)
