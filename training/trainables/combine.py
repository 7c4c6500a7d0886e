"""New contexts made of two: merged, or one taken from the other. Nothing is trained.

Tokens of two trainings stand in no common order, so means are of use between states of one training, or of contexts
that began from the same words; concatenation keeps both whole.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from ..files.tensor_file_fields import to_strings
from ..training_info import LONGEST_HISTORY, LONGEST_PROMPT, TrainingInfo
from .context_file import ReferenceContext, check_storable
from .context_tokens import ContextTokens

MergeMethod = Literal["concatenate", "weighted mean", "spherical"]
SubtractMethod = Literal["push away", "vectors"]

SHORT_PROMPT = 1000  # characters, of a part whose whole record is too long
# Nearer to one line the arc is as good as the line between, or no plane is given for it.
LEAST_SINE = 1e-2

Operation = Callable[[Tensor, Tensor], Tensor]


def merge(first: ReferenceContext, second: ReferenceContext, weight: float, method: MergeMethod) -> ReferenceContext:
    """weight: 0 is the first alone, 1 the second alone.

    "concatenate": the tokens of both side by side; at 0.5 both as they were trained, beyond it the first, below it the
    second, is scaled down. "weighted mean": of vectors. "spherical": each vector on the arc between the two directions
    (Shoemake 1985), with the mean of their norms. The last two need equally many tokens. Tokens for the negative prompt
    that only one of them has stay as they are.
    Raises ValueError where the two do not fit together.
    """
    first, second = _for_one_model(first, second)
    if method == "concatenate":
        shares = min(1.0, 2 - 2 * weight), min(1.0, 2 * weight)
        left, right = (_scaled(context, share) for context, share in zip((first, second), shares, strict=True))
        merged = _of_each(left, right, _concatenated)
    else:
        operation = _mean(weight) if method == "weighted mean" else _spherical(weight)
        merged = _of_each(first, second, lambda one, other: _vector_by_vector(one, other, operation))
    return _recorded(merged, f"{method}, weight {weight:g}", first, second)


def subtract(
    context: ReferenceContext, other: ReferenceContext, strength: float, method: SubtractMethod
) -> ReferenceContext:
    """`context` without what `other` shows.

    "push away": `other`, at that strength, becomes the tokens of the negative prompt, which Patch Model applies with
    apply_to "both"; those that `context` has for it stay beside them. "vectors": strength times `other` is taken from
    each vector, which needs equally many tokens.
    Raises ValueError where the two do not fit together.
    """
    context, other = _for_one_model(context, other)
    if method == "push away":
        away = other.positive.scaled(strength)
        negative = away if context.negative is None else _concatenated(context.negative, away)
        made = replace(context, negative=negative)
    else:
        taken = _vector_by_vector(context.positive, other.positive, lambda one, two: one - strength * two)
        made = replace(context, positive=taken)
    return _recorded(made, f"{method}, strength {strength:g}", context, other)


def _for_one_model(*contexts: ReferenceContext) -> tuple[ReferenceContext, ...]:
    """Both with tokens for equally many blocks."""
    blocks = max(context.num_blocks for context in contexts)
    family = next((context.info.model_family for context in contexts if context.info.model_family), "")
    for context in reversed(contexts):
        context.check_fits(blocks, contexts[0].context_dim, family)
    return tuple(context.with_blocks(blocks) for context in contexts)


def _scaled(context: ReferenceContext, scale: float) -> ReferenceContext:
    negative = context.negative and context.negative.scaled(scale)
    return replace(context, positive=context.positive.scaled(scale), negative=negative)


def _of_each(
    first: ReferenceContext,
    second: ReferenceContext,
    operation: Callable[[ContextTokens, ContextTokens], ContextTokens],
) -> ReferenceContext:
    """The operation on the tokens of the prompt, and on those of the negative prompt where both have some."""
    negative = first.negative or second.negative
    if first.negative is not None and second.negative is not None:
        negative = operation(first.negative, second.negative)
    return ReferenceContext(operation(first.positive, second.positive), negative)


def _concatenated(first: ContextTokens, second: ContextTokens) -> ContextTokens:
    """Those that have an attention of their own share one, and come first."""
    own = first.own + second.own
    tokens = torch.cat(_own_first(first.tokens, second.tokens, first.own, second.own), dim=1)
    if first.time_offsets is None and second.time_offsets is None:
        return ContextTokens(tokens, own=own)
    ranges = math.lcm(first.ranges, second.ranges)
    one, other = (_offsets(part, ranges).transpose(1, 2) for part in (first, second))
    together = torch.cat(_own_first(one, other, first.own, second.own), dim=1)
    return ContextTokens(tokens, together.transpose(1, 2), own)


def _own_first(one: Tensor, other: Tensor, own: int, other_own: int) -> list[Tensor]:
    """Of two [blocks,K,...]: the first so many of each, then the rest of each."""
    return [one[:, :own], other[:, :other_own], one[:, own:], other[:, other_own:]]


def _vector_by_vector(first: ContextTokens, second: ContextTokens, operation: Operation) -> ContextTokens:
    if first.count != second.count:
        raise ValueError(
            f"the contexts have {first.count} and {second.count} tokens in each block, expected equally many; "
            "'concatenate' and 'push away' take any"
        )
    if first.own != second.own:
        raise ValueError(
            f"of the contexts' tokens {first.own} and {second.own} have an attention of their own, expected equally "
            "many (token_attention of their trainings); 'concatenate' and 'push away' take any"
        )
    tokens = operation(first.tokens, second.tokens)
    if first.time_offsets is None and second.time_offsets is None:
        return ContextTokens(tokens, own=first.own)
    ranges = math.lcm(first.ranges, second.ranges)
    one, other = (part.tokens[:, None] + _offsets(part, ranges) for part in (first, second))
    return ContextTokens(tokens, operation(one, other) - tokens[:, None], first.own)


def _offsets(part: ContextTokens, ranges: int) -> Tensor:
    offsets = part.with_ranges(ranges).time_offsets
    assert offsets is not None
    return offsets


def _mean(weight: float) -> Operation:
    return lambda one, other: torch.lerp(one, other, weight)


def _spherical(weight: float) -> Operation:
    def between(one: Tensor, other: Tensor) -> Tensor:
        norms = one.norm(dim=-1, keepdim=True), other.norm(dim=-1, keepdim=True)
        start, end = (vector / norm.clamp(min=1e-12) for vector, norm in zip((one, other), norms, strict=True))
        angle = (start * end).sum(-1, keepdim=True).clamp(-1, 1).acos()
        sine = angle.sin()
        arc = (((1 - weight) * angle).sin() * start + (weight * angle).sin() * end) / sine.clamp(min=LEAST_SINE)
        no_arc = (sine < LEAST_SINE) | (norms[0] == 0) | (norms[1] == 0)
        return torch.where(no_arc, torch.lerp(one, other, weight), arc * torch.lerp(*norms, weight))

    return between


def _recorded(made: ReferenceContext, how: str, first: ReferenceContext, second: ReferenceContext) -> ReferenceContext:
    """With what is said of both. Raises ValueError where the new context is larger than its file may be."""
    counts = [part.count for part in (made.positive, made.negative) if part is not None]
    check_storable(made.num_blocks, sum(counts), made.context_dim, made.ranges if made.ranges > 1 else 0)
    infos = (first.info, second.info)
    prompts = dict.fromkeys(info.prompt for info in infos if info.prompt)
    info = TrainingInfo(
        model_family=infos[0].model_family or infos[1].model_family,
        prompt="\n".join(prompts)[:LONGEST_PROMPT],
        reference_count=sum(info.reference_count for info in infos),
        thumbnail=infos[0].thumbnail or infos[1].thumbnail,
        origin=infos[0].origin if infos[0].origin == infos[1].origin else "",
        made_of=_history(how, infos),
    )
    return replace(made, info=info)


def _history(how: str, infos: tuple[TrainingInfo, TrainingInfo]) -> str:
    """JSON of how it was made and what each part's file says, as far as there is room for it."""
    whole = [replace(info, thumbnail=None) for info in infos]
    without_histories = [replace(info, made_of="") for info in whole]
    short = [
        TrainingInfo(model_family=info.model_family, prompt=info.prompt[:SHORT_PROMPT], seed=info.seed)
        for info in infos
    ]
    for parts in (whole, without_histories, short):
        said = json.dumps({"how": how, "parts": [_said(info) for info in parts]}, ensure_ascii=False)
        if len(said) <= LONGEST_HISTORY:
            break
    return said


def _said(info: TrainingInfo) -> dict[str, str]:
    """What its file says, without what that leaves open."""
    return {name: said for name, said in to_strings(info).items() if said not in ("", "[]", "{}")}
