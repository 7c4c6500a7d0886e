"""The header of a safetensors file, judged whole before a byte of its tensors is read.

The format: eight bytes that say the header's length, the header as JSON, then the tensors' bytes without gaps. The
header gives each tensor's dtype, shape and place, and text by names under METADATA.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from .bounded_json import loads
from .sentences import shown

METADATA = "__metadata__"
CHECKSUM = "checksum"
MOST_VALUES = 100_000  # of any header, ours or not; the largest models have some ten thousand
ALIGNMENT = 8

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
}
DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True)
class Limits:
    """What a file may hold. Bytes are those in the file; names and metadata are counted in characters."""

    dtypes: tuple[torch.dtype, ...] = (torch.float32,)
    header_bytes: int = 2**20
    tensors: int = 64
    dimensions: int = 4
    tensor_bytes: int = 2**28
    total_bytes: int = 2**30
    least_width: int = 1  # bytes that a number counts for at least, where narrower ones are widened once they are read
    metadata_entries: int = 64
    metadata_length: int = 100_000  # of one value
    name_length: int = 128
    largest: float = 1e6  # magnitude of any number of a tensor; math.inf asks for finite ones alone
    # For tensors of these names, or whose names begin so before a point: `optimiser` stands for `optimiser.0.step`.
    largest_by_name: Mapping[str, float] = field(default_factory=dict)

    def largest_of(self, name: str) -> float:
        """The magnitude that no number of this tensor may pass."""
        by_beginning = self.largest_by_name.get(name.split(".")[0], self.largest)
        return self.largest_by_name.get(name, by_beginning)


@dataclass(frozen=True)
class Kind:
    """One kind of file: metadata `format` and `format_version` tell it, and the major version must be the same.

    unsealed: older versions, whose files have no checksum; a file of any other version must have one. A file that
    names no version is of the first of them.
    foreign: of another project, which tells its files by their tensors, and has no checksum of ours in them.
    """

    noun: str  # before the file's name: "context file"
    title: str  # after "is not ": "a context of AnimaFastTrain"
    format: str
    version: str
    unsealed: tuple[str, ...] = ()
    foreign: bool = False

    def check(self, metadata: Any) -> None:
        """Raises ValueError where a file with this metadata is of another kind or major version."""
        if self.foreign and isinstance(metadata, dict):
            return
        if not isinstance(metadata, dict) or metadata.get("format") != self.format:
            raise ValueError(f"is not {self.title}: its metadata does not say so")
        version = self.version_of(metadata)
        if not isinstance(version, str) or version.split(".")[0] != self.version.split(".")[0]:
            raise ValueError(
                f"has format version {shown(version)}, this version of AnimaFastTrain reads {shown(self.version)}"
            )

    def version_of(self, metadata: Mapping[str, str]) -> str:
        """The format version that the file says or, where it says none, the oldest."""
        return metadata.get("format_version", self.unsealed[0] if self.unsealed else "")


@dataclass(frozen=True)
class Entry:
    """One tensor: begin and end are bytes from the end of the header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Header:
    """entries in the order of their bytes; metadata with the checksum."""

    entries: tuple[Entry, ...]
    metadata: dict[str, str]


def parse_header(text: bytes, file_size: int, limits: Limits, kind: Kind) -> Header:
    """The header that its bytes say, when it is one of this kind, within the limits and in agreement with the size of
    the file. Raises ValueError in the second half of a sentence that begins with the file's name."""
    try:
        header = loads(text.decode("utf-8"), MOST_VALUES)
    except UnicodeDecodeError as error:
        raise ValueError("is not a safetensors file") from error
    except ValueError as error:
        reason = "" if str(error).startswith("is not JSON") else f": its header {error}"
        raise ValueError(f"is not a safetensors file{reason}") from error
    if not isinstance(header, dict):
        raise ValueError("is not a safetensors file")
    metadata = header.pop(METADATA, {} if kind.foreign else None)
    kind.check(metadata)
    try:
        if len(header) > limits.tensors:
            raise ValueError(f"it has {len(header)} tensors, expected at most {limits.tensors}")
        entries = tuple(sorted((_entry(*item) for item in header.items()), key=lambda entry: (entry.begin, entry.end)))
        expected = 8 + len(text) + max((entry.end for entry in entries), default=0)
        if file_size >= expected:
            check_metadata(metadata, limits)
            check_entries(entries, limits)
            _check_places(entries, file_size - expected)
    except ValueError as error:
        raise ValueError(f"is damaged: {error}") from error
    if file_size < expected:
        raise ValueError(f"is cut short: it has {file_size} of {expected} bytes")
    return Header(entries, metadata)


def header_bytes(header: Header) -> bytes:
    """The header with its length before it, padded so that the tensors begin at a multiple of ALIGNMENT; equal headers
    give equal bytes."""
    named: dict[str, Any] = {METADATA: dict(sorted(header.metadata.items()))}
    for entry in header.entries:
        named[entry.name] = {"dtype": entry.dtype, "shape": entry.shape, "data_offsets": (entry.begin, entry.end)}
    text = json.dumps(named, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


def check_metadata(metadata: Mapping[str, Any], limits: Limits) -> None:
    """Raises ValueError where it is not text by names, or beyond the limits."""
    if len(metadata) > limits.metadata_entries:
        raise ValueError(f"its metadata has {len(metadata)} entries, expected at most {limits.metadata_entries}")
    for name, value in metadata.items():
        _check_name("a metadata name", name, limits.name_length)
        _check_name(f"metadata {shown(name)}", value, limits.metadata_length)


def check_entries(entries: tuple[Entry, ...], limits: Limits) -> None:
    """Raises ValueError where a tensor's dtype, shape or size is beyond the limits, or its size is not that of its
    shape."""
    if len(entries) > limits.tensors:
        raise ValueError(f"it has {len(entries)} tensors, expected at most {limits.tensors}")
    allowed = [DTYPE_NAMES[dtype] for dtype in limits.dtypes]
    for entry in entries:
        _check_name("a tensor's name", entry.name, limits.name_length)
        this, size = f"tensor {shown(entry.name)}", entry.end - entry.begin
        if entry.dtype not in allowed:
            raise ValueError(f"{this} has dtype {shown(entry.dtype)}, expected {' or '.join(allowed)}")
        if len(entry.shape) > limits.dimensions:
            raise ValueError(f"{this} has {len(entry.shape)} dimensions, expected at most {limits.dimensions}")
        width = DTYPES[entry.dtype].itemsize
        # Sides of 0 count as 1: beside them the others must not be beyond reason either.
        if math.prod(max(side, 1) for side in entry.shape) * max(width, limits.least_width) > limits.tensor_bytes:
            raise ValueError(f"{this} is larger than {limits.tensor_bytes} bytes")
        if size != math.prod(entry.shape) * width:
            raise ValueError(f"{this} takes {size} bytes, expected {math.prod(entry.shape) * width} for its shape")
    total = sum(math.prod(entry.shape) * max(DTYPES[entry.dtype].itemsize, limits.least_width) for entry in entries)
    if total > limits.total_bytes:
        raise ValueError(f"its tensors take {total} bytes, expected at most {limits.total_bytes}")


def _entry(name: str, value: Any) -> Entry:
    this = f"tensor {shown(name)}"
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{this} is described by {shown(value)}, expected dtype, shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str):
        raise ValueError(f"{this} has dtype {shown(dtype)}, expected text")
    for what, numbers in (("shape", shape), ("data_offsets", offsets)):
        if not isinstance(numbers, list) or not all(type(number) is int and number >= 0 for number in numbers):
            raise ValueError(f"the {what} of {this} are not whole numbers of 0 or more")
    if len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ValueError(f"the data_offsets of {this} are not a beginning and an end")
    return Entry(name, dtype, tuple(shape), *offsets)


def _check_places(entries: tuple[Entry, ...], behind: int) -> None:
    """The tensors lie one after another, with nothing before, between or behind them."""
    end = 0
    for entry in entries:
        if entry.begin != end:
            raise ValueError(f"tensor {shown(entry.name)} begins at byte {entry.begin}, expected {end}")
        end = entry.end
    if behind:
        raise ValueError(f"it has {behind} bytes behind its end")


def _check_name(what: str, value: Any, longest: int) -> None:
    if not isinstance(value, str):
        raise ValueError(f"{what} is {shown(value)}, expected text")
    if len(value) > longest:
        raise ValueError(f"{what} has {len(value)} characters, expected at most {longest}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"{what} holds half a character") from error
