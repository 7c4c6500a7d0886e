"""Soft tokens: the files of the project anima_lora, read as contexts and written from them.

Such a file holds `tokens` [layers,K,D] for the first layers of Anima and `t_offsets.weight` [buckets,layers*D], one
vector for each layer and equal range of sigma, added to all K tokens of that layer; files of two banks have a leading
axis of which the first is drawn with. They take the place of zeros that end a prompt, behind its last word or at the
end, which to cross-attention without positions is one and the same. The parametrisation is SoftREPA's (Lee 2025,
2503.08250).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..files.regular_file import open_regular
from ..files.sentences import about_file, shown
from ..files.tensor_file import TensorFile, read, read_metadata, to_bytes
from ..files.tensor_file_header import Kind, Limits
from ..training_info import TrainingInfo
from .context_file import LIMITS as CONTEXT_LIMITS
from .context_file import ReferenceContext, check_storable
from .context_tokens import ContextTokens

TOKENS, OFFSETS = "tokens", "t_offsets.weight"
ORIGIN = "soft tokens of anima_lora"
KIND = Kind("soft-token file", f"a file of {ORIGIN}", "", "", foreign=True)
# Twice what two banks of 100 buckets take for all of Anima's blocks.
LIMITS = Limits(
    dtypes=CONTEXT_LIMITS.dtypes,
    header_bytes=2**23,  # its trainer writes the tags of all pictures there
    tensors=2,
    tensor_bytes=2**26,
    total_bytes=2**26,
    least_width=4,
    metadata_entries=1000,
    metadata_length=2**22,
    largest=CONTEXT_LIMITS.largest,
)
# SHA-256 of the bytes behind the header, as kohya's trainers write it.
HASH, HASH_LENGTH = "sshs_model_hash", 64
PLACE, PLACES = "ss_splice_position", ("end_of_sequence", "front_of_padding")
INFO = TrainingInfo(model_family="anima", origin=ORIGIN, pack_version="")


def is_soft_tokens(path: str | Path) -> bool:
    """Whether a file's header names what such files alone hold; False where it cannot be read."""
    try:
        with open_regular(path) as file:
            length = int.from_bytes(file.read(8), "little")
            return f'"{OFFSETS}"'.encode() in file.read(min(length, LIMITS.header_bytes))
    except (OSError, ValueError):  # said when it is loaded
        return False


def load_soft_tokens(path: str | Path) -> ReferenceContext:
    """The tokens as a context for the first blocks of Anima, on the CPU; its loader has them read by the prompt and the
    negative prompt. Raises one ValueError that names the file where it is not a whole one."""
    try:
        file = read(path, LIMITS, KIND)
        return ReferenceContext(_tokens_of(file), info=INFO)
    except ValueError as error:
        raise ValueError(about_file(KIND.noun, path, error)) from error


def read_soft_tokens_info(path: str | Path) -> TrainingInfo:
    """What is known of it, without its tensors. Raises ValueError as `load_soft_tokens` does."""
    try:
        read_metadata(path, LIMITS, KIND)
    except ValueError as error:
        raise ValueError(about_file(KIND.noun, path, error)) from error
    return INFO


def to_soft_tokens(context: ReferenceContext) -> bytes:
    """The content of a file that the project's own loader reads.

    Raises ValueError where the context holds what such a file has no place for: tokens of the negative prompt alone,
    tokens with an attention of their own, or offsets by level that differ between the tokens of a block.
    """
    if context.negative is not None:
        raise ValueError(
            "this context has tokens of its own for the negative prompt, expected one without: soft tokens are the "
            "same for both prompts"
        )
    if context.positive.own:
        raise ValueError(
            "this context's tokens have an attention of their own, expected one that was trained with token_attention "
            "'shared': soft tokens are read with the prompt"
        )
    tokens, offsets = context.positive.tokens.float().cpu(), _shared_offsets(context.positive)
    layers, count, width = tokens.shape
    tensors = {TOKENS: tokens, OFFSETS: offsets.permute(1, 0, 2).reshape(-1, layers * width)}
    said = {
        "ss_network_module": "networks.methods.soft_tokens",
        "ss_network_spec": "soft_tokens",
        "ss_num_tokens": str(count),
        "ss_embed_dim": str(width),
        "ss_n_layers": str(layers),
        "ss_n_t_buckets": str(offsets.shape[1]),
        PLACE: PLACES[0],
        "ss_training_comment": "trained by AnimaFastTrain",
    }
    contents = [tensors[name].contiguous().numpy().tobytes() for name in sorted(tensors)]
    return to_bytes(tensors, said | {HASH: hashlib.sha256(b"".join(contents)).hexdigest()}, LIMITS, KIND)


def _shared_offsets(tokens: ContextTokens) -> Tensor:
    """Offsets [blocks,ranges,D] of all tokens of a block; zeros of one range where there are none."""
    blocks, _, width = tokens.tokens.shape
    if tokens.time_offsets is None:
        return torch.zeros(blocks, 1, width)
    offsets = tokens.time_offsets.float().cpu()
    if not torch.equal(offsets, offsets[:, :, :1].expand_as(offsets)):
        raise ValueError(
            "this context has time_ranges, expected one that was trained without: soft tokens have one offset for all "
            "tokens of a block, and here they differ"
        )
    return offsets[:, :, 0]


def _tokens_of(file: TensorFile) -> ContextTokens:
    """Raises ValueError in the second half of a sentence."""
    if file.tensors.keys() != {TOKENS, OFFSETS}:
        held = ", ".join(map(shown, sorted(file.tensors))) or "nothing"
        raise ValueError(f"is damaged: it holds {held}, expected {TOKENS} and {OFFSETS}")
    _check_hash(file)
    tokens, offsets = file.tensors[TOKENS], file.tensors[OFFSETS]
    banks = tokens.shape[0] if tokens.ndim == 4 else 1
    if tokens.ndim not in (3, 4) or offsets.ndim != 2 or 0 in (*tokens.shape, *offsets.shape):
        raise ValueError(_of_shapes(tokens, offsets))
    layers, count, width = tokens.shape[-3:]
    if offsets.shape[1] != banks * layers * width:
        raise ValueError(_of_shapes(tokens, offsets))
    _check_said(file.metadata, layers=layers, num_tokens=count, embed_dim=width, t_buckets=len(offsets))
    if tokens.ndim == 4:
        tokens, offsets = tokens[0], offsets[:, : layers * width]
    if not offsets.any():
        return ContextTokens(tokens.float().clone())
    check_storable(layers, count, width, len(offsets))
    by_range = offsets.float().view(-1, layers, 1, width).transpose(0, 1)
    return ContextTokens(tokens.float().clone(), by_range.expand(-1, -1, count, -1).clone())


def _of_shapes(tokens: Tensor, offsets: Tensor) -> str:
    return (
        f"is damaged: {TOKENS} and {OFFSETS} have shapes {list(tokens.shape)} and {list(offsets.shape)}, expected "
        "[layers, tokens, width] and [buckets, layers * width]"
    )


def _check_said(metadata: Mapping[str, str], layers: int, num_tokens: int, embed_dim: int, t_buckets: int) -> None:
    """What a file says of its shapes may be missing, and is true where it is there. Raises ValueError."""
    found = {
        "ss_n_layers": layers, "ss_num_tokens": num_tokens, "ss_embed_dim": embed_dim, "ss_n_t_buckets": t_buckets,
    }  # fmt: skip
    for name, actual in found.items():
        if metadata.get(name, str(actual)) != str(actual):
            raise ValueError(f"is damaged: its metadata says {name} {shown(metadata[name])}, its tensors {actual}")
    place = metadata.get(PLACE, PLACES[0])
    if place not in PLACES:
        raise ValueError(f"is damaged: its {PLACE} is {shown(place)}, expected {' or '.join(PLACES)}")


def _check_hash(file: TensorFile) -> None:
    """Raises ValueError where a hash is there and is not that of the tensors."""
    said = file.metadata.get(HASH)
    if said is None:
        # A hash under another name of its length is one whose name was damaged; ss_… are those of other files.
        lengths = [(len(name), len(value)) for name, value in file.metadata.items() if not name.startswith("ss_")]
        if (len(HASH), HASH_LENGTH) in lengths:
            raise ValueError(f"is damaged: its {HASH} is missing")
        return
    # Of either order in the file: the library puts the wider numbers first.
    for names in ((OFFSETS, TOKENS), (TOKENS, OFFSETS)):
        digest = hashlib.sha256()
        for name in names:
            digest.update(file.tensors[name].reshape(-1).view(torch.uint8).numpy().data)
        if digest.hexdigest() == said:
            return
    raise ValueError(f"is damaged: its content does not agree with its {HASH}")
