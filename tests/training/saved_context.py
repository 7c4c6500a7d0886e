"""A small context as a training saves it, and what somebody may make of it who can compute its checksum."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from file_mutations import Mutation, damaged, giant  # noqa: F401 - as a subject has them
from sealed_file import (
    BEYOND_REASON,
    NOT_FINITE,
    WITHIN_REASON,
    Part,
    of_another_dtype,
    part_of,
    sealed,
    with_a_number,
)
from torch import Tensor

from anima_fast_train.training import ReferenceContext
from anima_fast_train.training.trainables.context_file import LIMITS
from anima_fast_train.training.trainables.context_tokens import ContextTokens
from anima_fast_train.training.training_info import TrainingInfo

INFO = TrainingInfo(
    model_family="anima", prompt="1girl, 初音\n{} }", steps=400, learning_rate="0.1:100, 0.01", reference_count=2,
    coverage=(0.25, 1.0), inside_before=0.5, inside_after=0.125, outside_before=0.3, outside_after=0.3, leak=0.01,
    final_loss=1e-7, seed=2**64 - 1, image_size=(832, 1216),
)  # fmt: skip

# What a field may say, and what it then is.
Said = tuple[str, Any]
TEXTS: tuple[Said, ...] = tuple(
    (text, text) for text in ("", "x", "初音 \0\n\x1b[2J\u202e", "[1]", "\\u0041", '"', "x" * 100)
)
WHOLES: tuple[Said, ...] = (("0", 0), ("7", 7), (" 12 ", 12))
NUMBERS: tuple[Said, ...] = (("0", 0.0), ("1e-30", 1e-30), ("0.1", 0.1), ("1", 1.0), ("-0.0", -0.0))
LISTS: tuple[Said, ...] = (("[]", ()), ("[1, 0, 0.5]", (1.0, 0.0, 0.5)), ("[1]", (1.0,)))
SIZES: tuple[Said, ...] = (("[]", ()), ("[1, 1000000]", (1, 1_000_000)))
SOUND: dict[str, tuple[Said, ...]] = {
    "model_family": TEXTS, "prompt": (*TEXTS, ("x" * 100_000, "x" * 100_000)), "learning_rate": TEXTS,
    "pack_version": TEXTS, "steps": (*WHOLES, ("1000000000", 10**9)), "reference_count": WHOLES,
    "seed": (*WHOLES, ("18446744073709551615", 2**64 - 1)), "coverage": LISTS, "image_size": SIZES,
    **dict.fromkeys(("inside_before", "outside_before", "leak", "final_loss"), (*NUMBERS, ("1e30", 1e30))),
}  # fmt: skip
# What no field but text may say: it is then taken as not said.
NOT_SAID = (
    "", "x", "NaN", "Infinity", "-Infinity", "1e999", "-1", "[", "[[[[", "[1e999, 512]", "{}", "null", "true", '"1"',
    "1" * 5000, "1e31", "0x10", "1_000", "\0", "[null]", "[true, 1]", "[-1, 2]", "[1, 2", "[1e31]", '["1"]', "1 2",
    "[" * 5000, "[1e5, 1, 1000001]", " ", "--1", "1e", ".5", "+1", "9" * 30, '{"a": 1}', "[[1]]", "[1.5, 2, 3, 4]",
)  # fmt: skip


@dataclass(frozen=True)
class Held:
    tensors: dict[str, Tensor]
    info: TrainingInfo


def tensors() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(5)
    shapes = {
        "tokens": (3, 4, 5), "time_offsets": (3, 2, 4, 5), "negative_tokens": (3, 2, 5),
        "negative_time_offsets": (3, 2, 2, 5),
    }  # fmt: skip
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def context() -> ReferenceContext:
    prompt, offsets, negative, negative_offsets = tensors().values()
    return ReferenceContext(ContextTokens(prompt, offsets), ContextTokens(negative, negative_offsets), INFO)


def saved() -> bytes:
    return context().to_bytes()


def said() -> dict[str, str]:
    """The metadata of a whole file but its checksum, which nobody but the writer under test has made."""
    with_length = saved()
    header = json.loads(with_length[8 : 8 + int.from_bytes(with_length[:8], "little")])
    return {name: value for name, value in header["__metadata__"].items() if name != "checksum"}


def saved_by_the_first_version() -> bytes:
    return safetensors.torch.save(tensors(), said() | {"format_version": "1.0"})


def of_one_other_bit() -> bytes:
    content = bytearray(saved_by_the_first_version())
    content[-1] ^= 1
    return bytes(content)


def load(path: Path) -> ReferenceContext:
    return ReferenceContext.load(path)


def agrees(loaded: ReferenceContext, holds: Held | None) -> bool:
    expected = Held(tensors(), INFO) if holds is None else holds
    found = loaded.tensors()
    return (
        found.keys() == expected.tensors.keys()
        and all(
            found[name].dtype == torch.float32 and part_of(found[name]) == part_of(expected.tensors[name].float())
            for name in found
        )
        and repr(loaded.info) == repr(expected.info)  # tells 0 from -0
    )


def resealed(chance: random.Random) -> Mutation:
    change = chance.choice([said_otherwise, said_otherwise, said_otherwise, other_numbers, other_shapes, other_names])
    return change(chance)


def said_otherwise(chance: random.Random) -> Mutation:
    """Fields within and beyond their bounds, fields that nobody knows, and metadata that no file has."""
    metadata, info, sound = said(), INFO, True
    by_name = {field.name: field.default for field in fields(TrainingInfo)} | {"pack_version": ""}
    for _ in range(chance.randint(1, 3)):
        what, name = chance.random(), chance.choice(list(SOUND))
        if what < 0.45:
            metadata[name], value = chance.choice(SOUND[name])
            info = replace(info, **{name: value})
        elif what < 0.8 and SOUND[name][: len(TEXTS)] != TEXTS:
            metadata[name] = chance.choice(NOT_SAID)
            info = replace(info, **{name: by_name[name]})
        elif what < 0.85:
            metadata.pop(name, None)
            info = replace(info, **{name: by_name[name]})
        elif what < 0.9:
            metadata[chance.choice(["later", "", "\x1b\n", "n" * 128])] = chance.choice(NOT_SAID)
        elif what < 0.95:
            metadata[chance.choice(["block_count", "context_dim"])] = chance.choice(["7", "", "3.0", "x" * 10_000])
            sound = False
        else:
            metadata["n" * chance.randint(129, 9999)] = ""
            sound = False
    return Mutation("said_otherwise", sealed(parts(), metadata), holds=Held(tensors(), info), sound=sound)


def other_numbers(chance: random.Random) -> Mutation:
    """A number at or beyond the border in one tensor, or numbers of another kind."""
    changed, name = tensors(), chance.choice(list(tensors()))
    if chance.random() < 0.3:
        held = parts() | {name: of_another_dtype(part_of(changed[name]), chance)}
        return Mutation("other_kind", sealed(held, said()), sound=False)
    dtype = chance.choice([torch.float32, torch.float16, torch.bfloat16])
    number = chance.choice(NOT_FINITE + BEYOND_REASON + WITHIN_REASON)
    changed[name] = with_a_number(changed[name].to(dtype), number, chance)
    sound = bool(changed[name].isfinite().all()) and float(changed[name].double().abs().max()) <= LIMITS.largest
    return Mutation("other_numbers", sealed(parts(changed), said()), holds=Held(changed, INFO), sound=sound)


def other_shapes(chance: random.Random) -> Mutation:
    """Tensors that do or do not belong together, and metadata that agree with the tokens or do not."""
    changed, name = tensors(), chance.choice(list(tensors()))
    sides = [chance.choice([0, 1, 2, 3, 4, 5]) for _ in range(chance.choice([0, 1, 2, 3, 3, 4, 4, 5]))]
    changed[name] = torch.full(sides, 0.5)
    metadata = said()
    if chance.random() < 0.7 and changed["tokens"].ndim == 3:
        metadata |= {
            "block_count": str(changed["tokens"].shape[0]),
            "context_dim": str(changed["tokens"].shape[2]),
        }
    shapes = {name: tuple(tensor.shape) for name, tensor in changed.items()}
    tokens, negative = shapes["tokens"], shapes["negative_tokens"]
    sound = (
        len(tokens) == len(negative) == 3
        and all(len(shapes[f"{part}time_offsets"]) == 4 for part in ("", "negative_"))
        and all(0 not in shape for shape in shapes.values())
        and (tokens[0], tokens[2]) == (negative[0], negative[2])
        and all(
            (offsets[0], *offsets[2:]) == of
            for of, offsets in ((tokens, shapes["time_offsets"]), (negative, shapes["negative_time_offsets"]))
        )
        and metadata["block_count"] == str(tokens[0])
        and metadata["context_dim"] == str(tokens[2])
    )
    return Mutation("other_shapes", sealed(parts(changed), metadata), holds=Held(changed, INFO), sound=sound)


def other_names(chance: random.Random) -> Mutation:
    """Tensors left out, named otherwise or added; those that nobody knows are let pass, up to the limit."""
    changed = tensors()
    for name in chance.sample(list(changed), chance.randint(0, 4)):
        if chance.random() < 0.5:
            del changed[name]
        else:
            changed[chance.choice(["Tokens", "tokens.0", "", "\x1b\n", "n" * 128])] = changed.pop(name)
    for number in range(chance.choice([0, 0, 3, 12, 13, 60])):
        changed[f"later.{number}"] = torch.ones(2)
    known = {name: changed[name] for name in tensors() if name in changed}
    sound = (
        "tokens" in known
        and ("negative_time_offsets" not in known or "negative_tokens" in known)
        and len(changed) <= LIMITS.tensors
    )
    return Mutation("other_names", sealed(parts(changed), said()), holds=Held(known, INFO), sound=sound)


def parts(changed: dict[str, Tensor] | None = None) -> dict[str, Part]:
    return {name: part_of(tensor) for name, tensor in (tensors() if changed is None else changed).items()}
