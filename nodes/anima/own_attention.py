"""Gives context tokens an attention of their own beside that to the prompt, in training and in sampling.

ComfyUI asks `optimized_attention_override` for each attention of a network. A wrapper puts one there for one forward
pass, in front of what other nodes have put there; the patches of a cross-attention call tell it beforehand which tokens
that call reads apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ...training.fast_path.prompt_rows import attend_to_prompt, before_counted_zeros
from ..models.token_source import TokenPatch, TokenSet

KEY = "anima_fast_train_own"  # in transformer_options
OVERRIDE = "optimized_attention_override"


def read_beside_prompt(patch_name: str, executor: Any, *args: Any, **more: Any) -> Tensor:
    """The `ModelFamily.reader` of a network whose patches of this name may be a `TokenPatch`."""
    options = more.get("transformer_options", {})
    if not any(isinstance(patch, TokenPatch) for patch in options.get("patches", {}).get(patch_name, ())):
        return executor(*args, **more)
    own = OwnAttention(executor.class_obj, options.get(OVERRIDE))
    output = executor(*args, **{**more, "transformer_options": {**options, OVERRIDE: own, KEY: own}})
    own.check_read()
    return output


def read_apart(sets: Sequence[TokenSet], prompt: Tensor, extra_options: dict[str, Any]) -> None:
    """Told by an attn2_patch: what its call reads apart. prompt: [B,L,D] as the model passed it. Raises ValueError
    where the wrapper is missing."""
    if KEY not in extra_options:
        raise ValueError("the context's tokens have an attention of their own, and another node took away its wrapper")
    extra_options[KEY].read_next(sets, prompt, extra_options["block_index"])


class OwnAttention:
    """The override of one forward pass. network: whose blocks attend; before: the override that stood there."""

    def __init__(self, network: Any, before: Callable[..., Tensor] | None) -> None:
        self._network, self._before = network, before
        self._next: tuple[int, list[TokenSet], Tensor] | None = None  # block, tokens, prompt

    def read_next(self, sets: Sequence[TokenSet], prompt: Tensor, block: int) -> None:
        """Several patches of one call may each add something."""
        if self._next is not None and self._next[0] != block:
            self.check_read()
        earlier = [] if self._next is None else self._next[1]
        self._next = block, [*earlier, *sets], prompt

    def check_read(self) -> None:
        """Raises ValueError where a call has not come back here."""
        if self._next is not None:
            raise ValueError(
                "another node replaces the attention of this model without asking optimized_attention_override, so the "
                "context's tokens are not read; expected one that asks, or a context trained with token_attention "
                "'shared'"
            )

    def __call__(
        self, attend: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor, *args: Any, **more: Any
    ) -> Tensor:
        """As ComfyUI calls it; of a call that reads tokens apart, their attention is added."""
        asked, self._next = self._next, None
        given = (q, k, v, *args)
        attended = attend(*given, **more) if self._before is None else self._before(attend, *given, **more)
        if asked is None:
            return attended
        block, sets, prompt = asked
        attention = self._network.blocks[block].cross_attn
        queries = q if more.get("skip_reshape") else q.unflatten(-1, (attention.n_heads, -1)).transpose(1, 2)
        choices = [tuple(each.rows[row] for each in sets) for row in range(len(queries))]
        for choice in dict.fromkeys(choices):
            if any(choice):
                chosen = [each for each, taken in zip(sets, choice, strict=True) if taken]
                rows = [row for row, other in enumerate(choices) if other == choice]
                result = _attended(attention, queries, chosen, rows, prompt.shape[1])
                attended = attended + result if len(rows) == len(choices) else _added(attended, result, rows)
        return attended


def _attended(attention: Any, q: Tensor, sets: Sequence[TokenSet], rows: list[int], zeros: int) -> Tensor:
    """q [B,H,S,d] -> [rows,S,H*d]."""
    index = slice(None) if len(rows) == len(q) else rows
    tokens = torch.cat([each.tokens.to(q).expand(len(q), -1, -1)[index] for each in sets], dim=1)
    read, bias = before_counted_zeros(tokens, zeros)
    k, v = (project(read).unflatten(-1, (attention.n_heads, -1)) for project in (attention.k_proj, attention.v_proj))
    k, v = attention.k_norm(k).transpose(1, 2), attention.v_norm(v).transpose(1, 2)
    return attend_to_prompt(q[index], k, v, bias).transpose(1, 2).flatten(2)


def _added(attended: Tensor, result: Tensor, rows: list[int]) -> Tensor:
    """Rows that take nothing keep every bit."""
    return attended.index_add(0, torch.tensor(rows, device=attended.device), result.to(attended))
