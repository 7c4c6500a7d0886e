"""The trained context, and the file that carries it from training to sampling.

The file is safetensors, never pickle: tensors `tokens` and, where trained, `time_offsets`, `negative_tokens` and
`negative_time_offsets`, and metadata strings
that say what they were trained with. Fields that this version does not know are ignored and fields that are missing
take their defaults, so a file of another minor version loads; another major version is refused.
"""

from __future__ import annotations

import dataclasses
import json
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from ..files.atomic_file import write_atomically
from ..training_info import FORMAT_VERSION, TrainingInfo
from .context_tokens import ContextTokens

FORMAT = "anima_fast_train.context"

# The names in the file of the tensors of the prompt, and of the negative prompt.
POSITIVE, NEGATIVE = "", "negative_"

# Above the largest header that the safetensors library accepts, the first bytes are those of another kind of file.
LARGEST_HEADER = 100_000_000


@dataclass(frozen=True)
class ReferenceContext:
    """What a context does to the prompt, optionally to the negative prompt, and where it comes from.

    Raises ValueError where the two are not for the same blocks and width.
    """

    positive: ContextTokens
    negative: ContextTokens | None = None
    info: TrainingInfo = TrainingInfo()

    def __post_init__(self) -> None:
        negative = self.negative
        if negative is not None and (negative.num_blocks, negative.context_dim) != (self.num_blocks, self.context_dim):
            raise ValueError(
                f"negative_tokens have shape {list(negative.tokens.shape)}, "
                f"expected [{self.num_blocks}, any, {self.context_dim}] like tokens"
            )

    @property
    def num_blocks(self) -> int:
        return self.positive.num_blocks

    @property
    def context_dim(self) -> int:
        return self.positive.context_dim

    @property
    def ranges(self) -> int:
        """How many equal ranges of levels have tokens of their own; 1 where all share one set."""
        return math.lcm(*(part.ranges for part in (self.positive, self.negative) if part is not None))

    def summary(self) -> str:
        """One line of a report."""
        tokens = self.positive
        return f"context tokens: {tokens.count} in each of {tokens.num_blocks} blocks, {tokens.context_dim} wide"

    def tensors(self) -> dict[str, Tensor]:
        """The tensors by the names they have in the file."""
        parts = {POSITIVE: self.positive, NEGATIVE: self.negative}
        return {
            f"{prefix}{name}": tensor
            for prefix, part in parts.items()
            if part is not None
            for name, tensor in part.tensors().items()
        }

    def check_fits(self, num_blocks: int, context_dim: int, model_family: str) -> None:
        """Raises one ValueError that names both shapes when the tokens were made for another model."""
        trained_for = (
            self.info.model_family or model_family
        )  # a file that does not name its model is judged by its shape
        if (trained_for, self.num_blocks, self.context_dim) != (model_family, num_blocks, context_dim):
            raise ValueError(
                f"these context tokens are for {trained_for} with {self.num_blocks} blocks of width "
                f"{self.context_dim}, expected {model_family} with {num_blocks} blocks of width {context_dim}"
            )

    def save(self, path: str | Path) -> None:
        """Write the file whole or not at all.

        Raises OSError in one sentence where it cannot be written, ValueError where the tokens are not finite.
        """
        tensors = {
            name: tensor.detach().to("cpu", torch.float32).contiguous() for name, tensor in self.tensors().items()
        }
        _require_finite(tensors)
        shape = {"block_count": str(self.num_blocks), "context_dim": str(self.context_dim)}
        metadata = {"format": FORMAT, **shape, **_info_to_metadata(self.info), "format_version": FORMAT_VERSION}
        write_atomically(path, safetensors.torch.save(tensors, metadata))

    @classmethod
    def load(cls, path: str | Path) -> ReferenceContext:
        """Read a context onto the CPU. Raises one ValueError that names the file where it is not a whole context."""
        try:
            return _read(Path(path))
        except OSError as error:
            raise ValueError(f"context file {path} cannot be read: {error.strerror or error}") from error
        except ValueError as error:
            raise ValueError(f"context file {path} {error}") from error


def _read(path: Path) -> ReferenceContext:
    """Read a context file; a ValueError here is the second half of a sentence that begins with the file's name."""
    with open(path, "rb") as file:
        header = _read_header(file.read(8), file.read, path.stat().st_size)
        metadata = header.get("__metadata__")
        # Judged by the header, so that a checkpoint of many gigabytes is refused without being read.
        if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
            raise ValueError("is not a context of AnimaFastTrain: its metadata does not say so")
        version = metadata.get("format_version", FORMAT_VERSION)
        if str(version).split(".")[0] != FORMAT_VERSION.split(".")[0]:
            raise ValueError(f"has format version {version}, this version of AnimaFastTrain reads {FORMAT_VERSION}")
        file.seek(0)
        try:
            tensors = safetensors.torch.load(file.read())
        except (SafetensorError, KeyError) as error:  # KeyError: a dtype that this version of safetensors does not know
            raise ValueError(f"is damaged: {error}") from error

    try:
        return _from_file(tensors, metadata)
    except ValueError as error:
        raise ValueError(f"is damaged: {error}") from error


def _from_file(tensors: dict[str, Tensor], metadata: dict[str, str]) -> ReferenceContext:
    """The context that a file's tensors and metadata make, if they agree."""
    if "tokens" not in tensors:
        raise ValueError(f"it holds {sorted(tensors)}, expected tokens")
    positive, negative = (_tokens_from_file(tensors, prefix) for prefix in (POSITIVE, NEGATIVE))
    assert positive is not None
    context = ReferenceContext(positive, negative, _info_from_metadata(metadata))
    _require_finite(context.tensors())
    for name, actual in (("block_count", context.num_blocks), ("context_dim", context.context_dim)):
        if metadata.get(name, str(actual)) != str(actual):
            raise ValueError(
                f"its metadata says {name} {metadata[name]} and its tokens have shape "
                f"{list(context.positive.tokens.shape)}"
            )
    return context


def _tokens_from_file(tensors: dict[str, Tensor], prefix: str) -> ContextTokens | None:
    """What the file holds for one prompt; None for nothing. Raises ValueError for offsets without their tokens."""
    named = {
        name: tensors[f"{prefix}{name}"].float() for name in ("tokens", "time_offsets") if f"{prefix}{name}" in tensors
    }
    if not named:
        return None
    if "tokens" not in named:
        raise ValueError(f"it holds {prefix}time_offsets without the {prefix}tokens that they are added to")
    return ContextTokens(**named)


def _read_header(length_bytes: bytes, read: Callable[[int], bytes], file_size: int) -> dict[str, Any]:
    """The JSON header of a safetensors file, once it is certain that the file is as long as the header says."""
    if len(length_bytes) < 8:
        raise ValueError(f"is cut short: it has {file_size} bytes")
    (length,) = struct.unpack("<Q", length_bytes)
    text = read(length) if length <= LARGEST_HEADER else b""
    if not text.startswith(b"{"):
        raise ValueError("is not a safetensors file")
    if len(text) < length:
        raise ValueError(f"is cut short: it has {file_size} bytes and its header alone has {length}")
    try:
        header = json.loads(text)
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        expected = 8 + length + max(ends, default=0)
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise ValueError("is not a safetensors file") from error
    if file_size < expected:
        raise ValueError(f"is cut short: it has {file_size} of {expected} bytes")
    return header


def _require_finite(tensors: dict[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ValueError(f"{name} hold numbers that are not finite")


def _info_to_metadata(info: TrainingInfo) -> dict[str, str]:
    """Metadata strings: text as it is, numbers and lists as JSON; what is not known is left out."""
    metadata = {}
    for name, value in dataclasses.asdict(info).items():
        if value is not None:
            text = value if isinstance(value, str) else json.dumps(value)
            # A prompt from a terminal may hold half characters, which no file takes; that must not cost the training.
            metadata[name] = text.encode("utf-8", "replace").decode("utf-8")
    return metadata


def _info_from_metadata(metadata: dict[str, str]) -> TrainingInfo:
    """The fields this version knows; a field that is missing, or that another version writes differently, takes its
    default."""
    known: dict[str, Any] = {"pack_version": ""}  # this version did not write a file that does not say so
    for field in dataclasses.fields(TrainingInfo):
        try:
            known[field.name] = _PARSERS[str(field.type)](metadata[field.name])
        except (KeyError, ValueError, TypeError, RecursionError):
            continue
    return TrainingInfo(**known)


# By annotation, which `from __future__ import annotations` keeps as text.
_PARSERS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "int | None": int,
    "float | None": float,
    "tuple[float, ...]": lambda text: tuple(float(value) for value in json.loads(text)),
    "tuple[int, ...]": lambda text: tuple(int(value) for value in json.loads(text)),
}
