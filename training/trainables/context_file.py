"""The trained context, and the file that carries it from training to sampling.

The file is safetensors, never pickle: tensors `tokens` and, where trained, those of `TENSORS`, and metadata strings
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

from ..atomic_file import write_atomically
from .context_tokens import TrainedTokens

PACK_VERSION = "0.1.0"
FORMAT = "anima_fast_train.context"
FORMAT_VERSION = "1.0"

TENSORS = ("tokens", "negative_tokens", "time_offsets", "negative_time_offsets")

# Above the largest header that the safetensors library accepts, the first bytes are those of another kind of file.
LARGEST_HEADER = 100_000_000


@dataclass(frozen=True)
class ContextInfo:
    """What the tokens were trained with. Block count and context_dim are those of the tokens themselves."""

    model_family: str = ""
    prompt: str = ""
    steps: int = 0
    learning_rate: str = ""  # as the user wrote it: a number or a schedule
    reference_count: int = 0
    coverage: tuple[float, ...] = ()  # 0..1, one for each reference
    inside_before: float | None = None  # evaluation loss inside the mask
    inside_after: float | None = None
    outside_before: float | None = None  # evaluation loss outside the mask
    outside_after: float | None = None
    leak: float | None = None
    final_loss: float | None = None
    seed: int | None = None
    image_size: tuple[int, ...] = ()  # width, height in pixels
    pack_version: str = PACK_VERSION
    format_version: str = FORMAT_VERSION


@dataclass(frozen=True)
class ReferenceContext:
    """Context tokens [blocks,K,context_dim] float32, optionally tokens for the negative prompt, and where they come
    from.

    Time offsets [blocks,S,K,context_dim] are added to the tokens of their name, one for each of S equal ranges of
    sigma.
    """

    tokens: Tensor
    negative_tokens: Tensor | None = None
    info: ContextInfo = ContextInfo()
    time_offsets: Tensor | None = None
    negative_time_offsets: Tensor | None = None

    def __post_init__(self) -> None:
        for name, tensor in self.tensors().items():
            layout = (
                "[blocks, ranges, tokens, context_dim]" if name.endswith("offsets") else "[blocks, tokens, context_dim]"
            )
            if tensor.ndim != layout.count(",") + 1 or 0 in tensor.shape:
                raise ValueError(f"{name} have shape {list(tensor.shape)}, expected {layout}")
        negative = self.negative_tokens
        if negative is not None and (negative.shape[0], negative.shape[2]) != (self.num_blocks, self.context_dim):
            raise ValueError(
                f"negative_tokens have shape {list(negative.shape)}, expected [{self.num_blocks}, any, "
                f"{self.context_dim}] like tokens"
            )
        for name, offsets, tokens in (
            ("time_offsets", self.time_offsets, self.tokens),
            ("negative_time_offsets", self.negative_time_offsets, negative),
        ):
            if offsets is not None and (
                tokens is None or (offsets.shape[0], *offsets.shape[2:]) != tuple(tokens.shape)
            ):
                raise ValueError(
                    f"{name} have shape {list(offsets.shape)}, expected ranges of sigma beside the shape of their "
                    "tokens"
                )

    @property
    def num_blocks(self) -> int:
        return self.tokens.shape[0]

    @property
    def tokens_per_block(self) -> int:
        return self.tokens.shape[1]

    @property
    def context_dim(self) -> int:
        return self.tokens.shape[2]

    def tokens_at(self, sigma: float) -> Tensor:
        """The tokens [blocks,K,D] at one noise level, their offset included."""
        return _at(self.tokens, self.time_offsets, sigma)

    def negative_tokens_at(self, sigma: float) -> Tensor | None:
        """The same for the negative prompt; None where it has no tokens of its own."""
        return None if self.negative_tokens is None else _at(self.negative_tokens, self.negative_time_offsets, sigma)

    @property
    def time_ranges(self) -> int:
        """How many equal ranges of sigma have tokens of their own; 1 where all share one set."""
        offsets = [part for part in (self.time_offsets, self.negative_time_offsets) if part is not None]
        return math.lcm(*(part.shape[1] for part in offsets))

    def tensors(self) -> dict[str, Tensor]:
        """The tensors by the names they have in the file."""
        named = {name: getattr(self, name) for name in TENSORS}
        return {name: tensor for name, tensor in named.items() if tensor is not None}

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
    known = {name: tensors[name].float() for name in TENSORS if name in tensors}
    context = ReferenceContext(**known, info=_info_from_metadata(metadata))
    _require_finite(context.tensors())
    for name, actual in (("block_count", context.num_blocks), ("context_dim", context.context_dim)):
        if metadata.get(name, str(actual)) != str(actual):
            raise ValueError(
                f"its metadata says {name} {metadata[name]} and its tokens have shape {list(context.tokens.shape)}"
            )
    return context


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


def _at(tokens: Tensor, offsets: Tensor | None, sigma: float) -> Tensor:
    if offsets is None:
        return tokens
    return TrainedTokens(tokens, offsets).at(torch.tensor([sigma]))[0]


def _require_finite(tensors: dict[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ValueError(f"{name} hold numbers that are not finite")


def _info_to_metadata(info: ContextInfo) -> dict[str, str]:
    """Metadata strings: text as it is, numbers and lists as JSON; what is not known is left out."""
    metadata = {}
    for name, value in dataclasses.asdict(info).items():
        if value is not None:
            text = value if isinstance(value, str) else json.dumps(value)
            # A prompt from a terminal may hold half characters, which no file takes; that must not cost the training.
            metadata[name] = text.encode("utf-8", "replace").decode("utf-8")
    return metadata


def _info_from_metadata(metadata: dict[str, str]) -> ContextInfo:
    """The fields this version knows; a field that is missing, or that another version writes differently, takes its
    default."""
    known: dict[str, Any] = {"pack_version": ""}  # this version did not write a file that does not say so
    for field in dataclasses.fields(ContextInfo):
        try:
            known[field.name] = _PARSERS[str(field.type)](metadata[field.name])
        except (KeyError, ValueError, TypeError, RecursionError):
            continue
    return ContextInfo(**known)


# By annotation, which `from __future__ import annotations` keeps as text.
_PARSERS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "int | None": int,
    "float | None": float,
    "tuple[float, ...]": lambda text: tuple(float(value) for value in json.loads(text)),
    "tuple[int, ...]": lambda text: tuple(int(value) for value in json.loads(text)),
}
