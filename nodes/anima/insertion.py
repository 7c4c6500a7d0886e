"""Puts context tokens beside the prompt in the keys and values of one cross-attention call, for training and sampling
alike.

Several patches may act on one call: contexts chained on a model, a context on one conditioning, the tokens in training.
The first leaves a record in `extra_options`, which ComfyUI makes anew for each call, so that the next one finds the
padding that is still free instead of adding to the length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...training.trainables.padding_slots import free_slots, insert_tokens
from ..models.token_source import TokenPatch, TokenSet, TokenSource
from .own_attention import read_apart

RECORD = "anima_fast_train"


@dataclass(frozen=True)
class Record:
    """What the patches of one cross-attention call have done so far."""

    context: Tensor  # [B,L,D] as the model passed it
    free: tuple[int, ...]
    inserted: tuple[TokenSet, ...]
    result: Tensor


class FreeSlots:
    """Remembers the free slots of the last context, so that 28 blocks with one context wait for the device once."""

    def __init__(self) -> None:
        self._last: tuple[Tensor, tuple[int, ...]] | None = None

    def of(self, context: Tensor) -> tuple[int, ...]:
        last = self._last  # read once: ComfyUI may run one model on several devices from several threads
        if last is None or last[0] is not context:
            last = (context, free_slots(context))
            self._last = last
        return last[1]

    def forget(self) -> None:
        self._last = None


class PaddingPatch(TokenPatch):
    """An attn2_patch that puts what a source gives in the place of zero padding, or has it read apart."""

    def __init__(self, source: TokenSource) -> None:
        super().__init__(source)
        self._free = FreeSlots()

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, extra_options: dict, **_: Any) -> dict[str, Tensor]:
        """q, k, v before their projections; k and v are the conditioning [B,L,D] of a batch of prompts."""
        sets = self.source.sets(extra_options["block_index"], k.shape[0], k, extra_options)
        apart, beside = [each for each in sets if each.own], [each for each in sets if not each.own]
        if apart:
            record = extra_options.get(RECORD)
            read_apart(apart, k if record is None or record.result is not k else record.context, extra_options)
        return insert_into_call(k, v, beside, extra_options, self._free) if beside else {}

    def cleanup(self) -> None:
        super().cleanup()
        self._free.forget()


def insert_into_call(
    keys: Tensor, values: Tensor, added: Sequence[TokenSet], extra_options: dict, free: FreeSlots
) -> dict[str, Any]:
    """What an attn2_patch returns to put `added` into the keys and values, both [B,L,D], of its call."""
    record = extra_options.get(RECORD)
    if record is None or record.result is not keys:
        record = Record(keys, free.of(keys), (), keys)
    inserted = (*record.inserted, *added)
    result = insert_sets(record.context, inserted, record.free)
    extra_options[RECORD] = Record(record.context, record.free, inserted, result)
    if values is not keys:
        return {"k": result, "v": insert_sets(values, added, free_slots(values))}
    return {"k": result, "v": result}


def insert_sets(context: Tensor, sets: Sequence[TokenSet], free: Sequence[int]) -> Tensor:
    """`context` [B,L,D] with the tokens of all sets that name a row in the padding of that row.

    Rows that no set names keep every bit, unless a row with too little padding makes the whole batch longer.
    """
    choices = [tuple(token_set.rows[row] for token_set in sets) for row in range(context.shape[0])]
    length = context.shape[1]
    for choice in dict.fromkeys(choices):
        chosen = [token_set.tokens for token_set, taken in zip(sets, choice, strict=True) if taken]
        if not chosen:
            continue
        rows = [other == choice for other in choices]
        grown = context.shape[1] - length
        context = insert_tokens(context, joined(chosen, len(rows)), free=[slots + grown for slots in free], rows=rows)
    return context


def joined(tokens: list[Tensor], batch: int) -> Tensor:
    """Token sets one after the other: [K,D] each, or [B,K,D] where one of them differs between rows."""
    if len(tokens) > 1 and any(one.ndim == 3 for one in tokens):
        tokens = [one.expand(batch, -1, -1) for one in tokens]
    return tokens[0] if len(tokens) == 1 else torch.cat(tokens, dim=-2)
