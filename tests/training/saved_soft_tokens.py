"""A file of soft tokens as their own trainer writes it, and what becomes of one, damaged or made by somebody who can
compute its hash."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping
from pathlib import Path

import torch
from file_mutations import Mutation, damaged, giant, with_header  # noqa: F401 - as a subject has them
from safetensors.torch import save
from sealed_file import BEYOND_REASON, NOT_FINITE, WITHIN_REASON, of_another_dtype, part_of, with_a_number
from torch import Tensor

from anima_fast_train.training.trainables.context_file import ReferenceContext
from anima_fast_train.training.trainables.soft_tokens import HASH, LIMITS, ORIGIN
from anima_fast_train.training.trainables.stored_context import load_context

LAYERS, COUNT, WIDTH, BUCKETS = 3, 4, 5, 7
Held = dict[str, Tensor]


def tensors(banks: int = 0) -> Held:
    generator = torch.Generator().manual_seed(5)
    return {
        "tokens": torch.randn(*([banks] if banks else []), LAYERS, COUNT, WIDTH, generator=generator),
        "t_offsets.weight": torch.randn(BUCKETS, max(1, banks) * LAYERS * WIDTH, generator=generator),
    }


def said(place: str = "end_of_sequence") -> dict[str, str]:
    return {
        "ss_network_module": "networks.methods.soft_tokens", "ss_num_tokens": str(COUNT), "ss_embed_dim": str(WIDTH),
        "ss_n_layers": str(LAYERS), "ss_n_t_buckets": str(BUCKETS), "ss_splice_position": place,
        "ss_contrastive_objective": "infonce", "sshs_legacy_hash": "12345678",
    }  # fmt: skip


def hashed(held: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """With the hash that kohya's trainers write: over all behind the header."""
    plain = save(dict(held))
    content = plain[8 + int.from_bytes(plain[:8], "little") :]
    return in_order(held, {**metadata, HASH: hashlib.sha256(content).hexdigest()})


def in_order(held: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """As the library saves it, whose metadata come in any order."""
    content = save(dict(held), dict(metadata))
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    if metadata:
        header["__metadata__"] = dict(sorted(metadata.items()))
    return with_header(header) + content[end:]


def saved() -> bytes:
    return hashed(tensors(), said())


def saved_by_the_first_version() -> bytes:
    return in_order(tensors(), said())


def of_one_other_bit() -> bytes:
    held = tensors()
    held["tokens"].view(torch.int32)[0, 0, 0] ^= 1
    return hashed(held, said())


def load(path: Path) -> ReferenceContext:
    return load_context(path)


def expected(held: Held) -> tuple[Tensor, Tensor]:
    """Tokens [layers,K,D] and offsets [layers,buckets,K,D] of the first bank."""
    tokens, offsets = held["tokens"].float(), held["t_offsets.weight"].float()
    tokens = tokens[0] if tokens.ndim == 4 else tokens
    layers, count, width = tokens.shape
    rows = [[offsets[bucket, layer * width : (layer + 1) * width] for bucket in range(len(offsets))]
            for layer in range(layers)]  # fmt: skip
    by_layer = torch.stack([torch.stack(row) for row in rows])
    return tokens, by_layer[:, :, None].repeat(1, 1, count, 1)


def agrees(loaded: ReferenceContext, holds: Held | None) -> bool:
    tokens, offsets = expected(tensors() if holds is None else holds)
    found = loaded.positive.time_offsets
    same_offsets = torch.equal(offsets, found) if found is not None else not offsets.any()
    same_info = (loaded.info.origin, loaded.info.model_family, loaded.info.prompt) == (ORIGIN, "anima", "")
    return same_info and loaded.negative is None and torch.equal(loaded.positive.tokens, tokens) and same_offsets


def resealed(chance: random.Random) -> Mutation:
    return chance.choice([other_numbers, other_shapes, other_metadata, two_banks])(chance)


def other_numbers(chance: random.Random) -> Mutation:
    held, name = tensors(), chance.choice(list(tensors()))
    if chance.random() < 0.3:
        part = of_another_dtype(part_of(held[name]), chance)
        others = {"U8": torch.uint8, "I16": torch.int16, "I32": torch.int32, "I64": torch.int64, "F64": torch.float64}
        held[name] = held[name].to(others.get(part.dtype, torch.uint8))
        return Mutation("other_kind", hashed(held, said()), sound=False)
    dtype = chance.choice([torch.float32, torch.float16, torch.bfloat16])
    held[name] = with_a_number(held[name].to(dtype), chance.choice(NOT_FINITE + BEYOND_REASON + WITHIN_REASON), chance)
    sound = bool(held[name].isfinite().all()) and float(held[name].double().abs().max()) <= LIMITS.largest
    return Mutation("other_numbers", hashed(held, said()), holds=held, sound=sound)


def other_shapes(chance: random.Random) -> Mutation:
    """Tensors that do or do not belong together, and metadata that agree with the old ones or say nothing."""
    sides = [chance.choice([0, 1, 2, 3, 4, 5]) for _ in range(chance.choice([0, 1, 2, 3, 3, 3, 4, 5]))]
    offsets = [chance.choice([0, 1, 7]), chance.choice([0, 15, 45, 60, 75])][: chance.choice([1, 2, 2, 2])]
    if len(sides) == 3 and chance.random() < 0.5:
        offsets = [7, sides[0] * sides[2]]
    held = {"tokens": torch.full(sides, 0.5), "t_offsets.weight": torch.full(offsets, 0.25)}
    metadata = said() if chance.random() < 0.3 else {}
    banks = sides[0] if len(sides) == 4 else 1
    sound = (
        len(sides) in (3, 4)
        and len(offsets) == 2
        and 0 not in (*sides, *offsets)
        and offsets[1] == banks * sides[-3] * sides[-1]
        and (not metadata or (*sides[-3:], offsets[0]) == (LAYERS, COUNT, WIDTH, BUCKETS))
    )
    return Mutation("other_shapes", hashed(held, metadata), holds=held, sound=sound)


def other_metadata(chance: random.Random) -> Mutation:
    metadata, sound = said(), True
    what = chance.randrange(4)
    if what == 0:
        metadata["ss_tag_frequency"] = "x" * chance.choice([10, 2**20, 2**22 + 1])
        sound = len(metadata["ss_tag_frequency"]) <= LIMITS.metadata_length
    elif what == 1:
        metadata["ss_splice_position"] = chance.choice(["front_of_padding", "", "middle", "\0\x1b[2J"])
        sound = metadata["ss_splice_position"] == "front_of_padding"
    elif what == 2:
        name = chance.choice(["ss_num_tokens", "ss_embed_dim", "ss_n_layers", "ss_n_t_buckets"])
        metadata[name] = chance.choice(["", "2", "4.0", "-1", "9" * 5000])
        sound = False
    else:
        metadata |= {f"ss_{number}": "" for number in range(chance.choice([5, 900, 1100]))}
        sound = len(metadata) + 1 <= LIMITS.metadata_entries
    return Mutation("other_metadata", hashed(tensors(), metadata), holds=tensors(), sound=sound)


def two_banks(chance: random.Random) -> Mutation:
    held = tensors(banks=chance.choice([1, 2, 3]))
    return Mutation("two_banks", hashed(held, said()), holds=held, sound=True)
