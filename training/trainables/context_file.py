"""The trained context, and the file that carries it from training to sampling.

The file is safetensors, never pickle: tensors `tokens` and, where trained, `time_offsets`, `negative_tokens` and
`negative_time_offsets`, and metadata strings that say what they were trained with; `own_tokens` and
`negative_own_tokens` say how many of the tokens, the first, have an attention of their own. Fields that this version
does not know are ignored and fields that are missing take their defaults, so a file of another minor version loads;
another major version is refused.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from ...masking.wording import printable
from ..files.atomic_file import write_atomically
from ..files.sentences import about_file, shown
from ..files.tensor_file import TensorFile, read, read_metadata, to_bytes
from ..files.tensor_file_fields import from_strings, to_strings
from ..files.tensor_file_header import Kind, Limits
from ..training_info import FORMAT_VERSION, LONGEST_PROMPT, TrainingInfo
from .context_tokens import ContextTokens
from .placed_tokens import PlacedTokens

FORMAT = "anima_fast_train.context"
KIND = Kind("context file", "a context of AnimaFastTrain", FORMAT, FORMAT_VERSION, unsealed=("1.0",))
# Twice what 256 tokens of 28 blocks for both prompts take, or 16 of them with offsets for 32 ranges of levels.
LIMITS = Limits(
    dtypes=(torch.float32, torch.float16, torch.bfloat16),
    tensors=16,
    tensor_bytes=2**27,
    total_bytes=2**27,
    least_width=4,
    metadata_length=4 * LONGEST_PROMPT,
    largest=1e6,
)
LARGEST_FILE = LIMITS.total_bytes + LIMITS.header_bytes + 8  # bytes

# The names in the file of the tensors of the prompt, and of the negative prompt.
POSITIVE, NEGATIVE = "", "negative_"
OWN = "own_tokens"


@dataclass(frozen=True)
class ReferenceContext:
    """What a context does to the prompt, optionally to the negative prompt, and where it comes from.

    Raises ValueError where the two are not for the same blocks and width.
    """

    positive: ContextTokens
    negative: ContextTokens | None = None
    info: TrainingInfo = TrainingInfo()
    noun: ClassVar[str] = "context"
    larger: ClassVar[str] = "more tokens"
    prompt_words: ClassVar[str] = ""  # it says its own

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
    def own_tokens(self) -> int:
        """How many of each block's tokens, of both prompts together, have an attention of their own."""
        return sum(part.own for part in (self.positive, self.negative) if part is not None)

    @property
    def ranges(self) -> int:
        """How many equal ranges of levels have tokens of their own; 1 where all share one set."""
        return math.lcm(*(part.ranges for part in (self.positive, self.negative) if part is not None))

    def summary(self) -> str:
        """One line of a report."""
        tokens, words = self.positive, min(self.info.word_tokens, self.positive.count)
        said = f"; beside them it says: {printable(self.info.words)}" if words else ""
        return (
            f"context tokens: {tokens.count - words} in each of {tokens.num_blocks} blocks, {tokens.context_dim} "
            f"wide{said}"
        )

    def at(self, level: Tensor) -> PlacedTokens:
        """The prompt's tokens at levels [B], see `ContextTokens.at`."""
        return self.positive.placed_at(level)

    def at_level(self, level: float, negative: bool = False) -> PlacedTokens | None:
        """The tokens [blocks,K,context_dim] of the prompt, or of the negative prompt, at one level."""
        tokens = self.negative if negative else self.positive
        return None if tokens is None else tokens.placed_at_level(level)

    def scaled(self, scale: float) -> ReferenceContext:
        """The same at a strength, as Patch Model's scale has it."""
        negative = self.negative and self.negative.scaled(scale)
        return replace(self, positive=self.positive.scaled(scale), negative=negative)

    def tensors(self) -> dict[str, Tensor]:
        """The tensors by the names they have in the file."""
        parts = {POSITIVE: self.positive, NEGATIVE: self.negative}
        return {
            f"{prefix}{name}": tensor
            for prefix, part in parts.items()
            if part is not None
            for name, tensor in part.tensors().items()
        }

    def check_fits(self, num_blocks: int, context_dim: int, model_family: str, own_attention: bool = True) -> None:
        """Raises one ValueError that names both shapes when the tokens were made for another model, and where they have
        an attention of their own, for which that model has no place. Tokens of other projects may be for its first
        blocks alone."""
        # A file that does not name its model is judged by its shape.
        trained_for = self.info.model_family or model_family
        blocks = max(self.num_blocks, num_blocks) if self.info.origin else self.num_blocks
        if (trained_for, blocks, self.context_dim) != (model_family, num_blocks, context_dim):
            raise ValueError(
                f"these context tokens are for {printable(trained_for)} with {self.num_blocks} blocks of width "
                f"{self.context_dim}, expected {model_family} with {num_blocks} blocks of width {context_dim}"
            )
        if self.own_tokens and not own_attention:
            raise ValueError(
                f"the context has {self.own_tokens} tokens with an attention of their own, expected none for "
                f"{model_family}, which reads text and picture as one sequence"
            )

    def with_blocks(self, blocks: int) -> ReferenceContext:
        """The same with tokens that say nothing in the blocks beyond its own."""
        negative = self.negative and self.negative.with_blocks(blocks)
        return replace(self, positive=self.positive.with_blocks(blocks), negative=negative)

    def save(self, path: str | Path) -> None:
        """Write the file whole or not at all; the same context gives the same bytes.

        Raises OSError in one sentence where it cannot be written, ValueError where the tokens are not finite.
        """
        write_atomically(path, self.to_bytes())

    def to_bytes(self) -> bytes:
        """The content of its file. Raises ValueError where `load` would not take it back."""
        tensors = {name: tensor.detach().to("cpu", torch.float32) for name, tensor in self.tensors().items()}
        shape = {"block_count": str(self.num_blocks), "context_dim": str(self.context_dim)}
        parts = {POSITIVE: self.positive, NEGATIVE: self.negative}
        own = {f"{prefix}{OWN}": str(part.own) for prefix, part in parts.items() if part is not None and part.own}
        return to_bytes(tensors, {**to_strings(self.info), **shape, **own}, LIMITS, KIND)

    @classmethod
    def load(cls, path: str | Path) -> ReferenceContext:
        """Read a context onto the CPU. Raises one ValueError that names the file where it is not a whole context."""
        try:
            return context_of(read(path, LIMITS, KIND))
        except ValueError as error:
            raise ValueError(about_file(KIND.noun, path, error)) from error


def context_bytes(num_blocks: int, count: int, context_dim: int, ranges: int) -> int:
    """What the tensors of a context take in its file: `count` tokens for each block, those for both prompts together,
    with offsets for so many ranges of levels, 0 for none."""
    return 4 * num_blocks * count * context_dim * (1 + ranges)


def check_storable(num_blocks: int, count: int, context_dim: int, ranges: int) -> None:
    """Raises ValueError where such a context is larger than its file may be: better before a training than after
    it."""
    size = context_bytes(num_blocks, count, context_dim, ranges)
    if size > LIMITS.total_bytes:
        raise ValueError(
            f"{count} tokens in each of {num_blocks} blocks with {ranges} time_ranges make a context of "
            f"{size / 1e6:.0f} MB, expected at most {LIMITS.total_bytes / 1e6:.0f} MB: fewer num_tokens, "
            "negative_tokens or time_ranges"
        )


def read_info(path: str | Path) -> TrainingInfo:
    """What a context file says of its training, without its tensors. Raises ValueError where it is none."""
    try:
        return info_of_metadata(read_metadata(path, LIMITS, KIND))
    except ValueError as error:
        raise ValueError(about_file(KIND.noun, path, error)) from error


def info_of_metadata(metadata: dict[str, str]) -> TrainingInfo:
    """What a file's metadata say; this version did not write a file that does not say so."""
    return TrainingInfo(**{"pack_version": "", **from_strings(TrainingInfo, metadata)})


def context_of(file: TensorFile) -> ReferenceContext:
    """The context that a file's tensors and metadata make. Raises ValueError in the second half of a sentence where
    they do not agree."""
    try:
        return _from_file(file.tensors, file.metadata)
    except ValueError as error:
        raise ValueError(f"is damaged: {error}") from error


def _from_file(tensors: dict[str, Tensor], metadata: dict[str, str]) -> ReferenceContext:
    if "tokens" not in tensors:
        raise ValueError(f"it holds {', '.join(map(shown, sorted(tensors))) or 'nothing'}, expected tokens")
    positive, negative = (_tokens_from_file(tensors, metadata, prefix) for prefix in (POSITIVE, NEGATIVE))
    assert positive is not None
    context = ReferenceContext(positive, negative, info_of_metadata(metadata))
    for name, actual in (("block_count", context.num_blocks), ("context_dim", context.context_dim)):
        if metadata.get(name, str(actual)) != str(actual):
            raise ValueError(
                f"its metadata says {name} {shown(metadata[name])} and its tokens have shape "
                f"{list(context.positive.tokens.shape)}"
            )
    return context


def _tokens_from_file(tensors: dict[str, Tensor], metadata: dict[str, str], prefix: str) -> ContextTokens | None:
    """What the file holds for one prompt; None for nothing. Raises ValueError for offsets without their tokens, and for
    more tokens with an attention of their own than there are."""
    named = {
        name: tensors[f"{prefix}{name}"].float() for name in ("tokens", "time_offsets") if f"{prefix}{name}" in tensors
    }
    if not named:
        return None
    if "tokens" not in named:
        raise ValueError(f"it holds {prefix}time_offsets without the {prefix}tokens that they are added to")
    said = metadata.get(f"{prefix}{OWN}", "0")
    own = int(said) if re.fullmatch("[0-9]{1,9}", said) else -1
    count = named["tokens"].shape[1] if named["tokens"].ndim > 1 else 0
    if not 0 <= own <= count:
        raise ValueError(f"its metadata says {prefix}{OWN} {shown(said)}, expected 0 to {count}")
    return ContextTokens.of(named, own)
