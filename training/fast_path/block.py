"""One frozen block of Anima's layout on the fast path.

It reads the submodules of whatever block it is given by the names that ComfyUI's class and the miniature share, and
calls them as they are, so that casts, quantised weights and patches of theirs act as in the block's own forward.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from ..adapters.acting import acting_again
from ..trainables.placed_tokens import PlacedTokens
from .bridge import attention_forgetting, attention_keeping
from .prompt_rows import PromptRows, attend_to_both, attend_to_prompt

# (self-attention module, queries and keys [B,L,H,d] before their norm) -> queries and keys as attention takes them.
Rotate = Callable[[Any, Tensor, Tensor], tuple[Tensor, Tensor]]
EPSILON = 1e-6  # of the layer norms, as in Cosmos-Predict2


class Kept(IntEnum):
    """What a block keeps for the backward pass; the more is forgotten, the more is computed again there."""

    ALL = 0
    NO_ROTATED = 1  # no queries and keys after their norm and rotation; all that only a matrix product could bring back
    NO_HIDDEN = 2  # nor the hidden layer of the MLP, four times as wide as the rest
    NO_PROJECTIONS = 3  # nor queries, keys and values; attention itself is not computed again
    INPUT = 4  # nothing but the block's input


@dataclass(frozen=True)
class Pass:
    """What the blocks of one forward pass share. time [B,1,D] and shared [B,1,3D] modulate; attend takes queries, keys
    and values [B,H,L,d]."""

    time: Tensor
    shared: Tensor
    prompt: PromptRows
    rotate: Rotate
    attend: Callable[[Tensor, Tensor, Tensor], Tensor]


def through_block(block: nn.Module, x: Tensor, tokens: PlacedTokens, shared: Pass, kept: Kept) -> Tensor:
    """The residual stream x [B,L,D] after `block`, which reads tokens [K,D] or [B,K,D] beside its prompt."""
    if kept == Kept.INPUT and torch.is_grad_enabled():
        return _again(
            lambda x, *each: _block(block, x, PlacedTokens(*each), shared, kept), x, tokens.own, tokens.joined
        )
    return _block(block, x, tokens, shared, kept)


def _block(block: Any, x: Tensor, tokens: PlacedTokens, shared: Pass, kept: Kept) -> Tensor:
    """The last layer of each part needs nothing of what it is given, and stays outside of what is computed again."""
    x = _self_attention(block, x, shared, kept)
    shift, scale, gate = _modulation(block.adaln_modulation_cross_attn, shared)

    def read(x: Tensor, *each: Tensor | None) -> Tensor:
        return _prompt_attention(block.cross_attn, _normed(x, shift, scale), PlacedTokens(*each), shared, kept)

    inputs = x, tokens.own, tokens.joined
    result = _again(read, *inputs) if kept == Kept.NO_PROJECTIONS else read(*inputs)
    x = _added(x, gate, block.cross_attn.output_proj(result))
    shift_mlp, scale_mlp, gate = _modulation(block.adaln_modulation_mlp, shared)

    def hidden(x: Tensor) -> Tensor:
        return functional.gelu(block.mlp.layer1(_normed(x, shift_mlp, scale_mlp)))

    forgets_hidden = kept in (Kept.NO_HIDDEN, Kept.NO_PROJECTIONS)
    return _added(x, gate, block.mlp.layer2(_again(hidden, x) if forgets_hidden else hidden(x)))


def _self_attention(block: Any, x: Tensor, shared: Pass, kept: Kept) -> Tensor:
    attention = block.self_attn
    shift, scale, gate = _modulation(block.adaln_modulation_self_attn, shared)

    def projected(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = _normed(x, shift, scale)
        return (
            _heads(attention.q_proj(h), attention),
            _heads(attention.k_proj(h), attention),
            _heads(attention.v_proj(h), attention),
        )

    def rotated(q: Tensor, k: Tensor) -> tuple[Tensor, ...]:
        return tuple(part.transpose(1, 2) for part in shared.rotate(attention, q, k))

    def all_of(x: Tensor) -> tuple[Tensor, ...]:
        q, k, v = projected(x)
        return *rotated(q, k), v.transpose(1, 2)

    if kept == Kept.NO_PROJECTIONS:
        result = attention_forgetting(all_of, (x,), shared.attend)
    else:
        q, k, v = projected(x)
        forgets = kept in (Kept.NO_ROTATED, Kept.NO_HIDDEN)
        attention_of = attention_forgetting if forgets else attention_keeping
        result = attention_of(rotated, (q, k), shared.attend, v.transpose(1, 2))
    return _added(x, gate, attention.output_proj(result.transpose(1, 2).flatten(2)))


def _prompt_attention(attention: Any, h: Tensor, tokens: PlacedTokens, shared: Pass, kept: Kept) -> Tensor:
    read, *biases = shared.prompt.beside(tokens.joined)
    if tokens.own is not None:
        own, own_bias = shared.prompt.apart_from(tokens.own)
        read, biases = torch.cat([read, own], 1), [*biases, own_bias]
    q = _heads(attention.q_proj(h), attention)
    k = attention.k_norm(_heads(attention.k_proj(read), attention)).transpose(1, 2)
    v = _heads(attention.v_proj(read), attention).transpose(1, 2)

    def normed(q: Tensor) -> tuple[Tensor]:
        return (attention.q_norm(q).transpose(1, 2),)

    # Within a checkpoint the hooks of `attention_forgetting` would take the place of the checkpoint's own.
    forgets = kept in (Kept.NO_ROTATED, Kept.NO_HIDDEN)
    attend = attend_to_prompt if tokens.own is None else attend_to_both
    result = (attention_forgetting if forgets else attention_keeping)(normed, (q,), attend, k, v, *biases)
    return result.transpose(1, 2).flatten(2)


def _modulation(layers: nn.Module, shared: Pass) -> tuple[Tensor, Tensor, Tensor]:
    shift, scale, gate = (layers(shared.time) + shared.shared).chunk(3, dim=-1)
    return shift, 1 + scale, gate


def _normed(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """In the dtype that the layers compute in, where the residual stream may be wider."""
    normed = functional.layer_norm(x, x.shape[-1:], eps=EPSILON)
    return torch.addcmul(shift.to(x.dtype), normed, scale.to(x.dtype)).to(shift.dtype)


def _added(x: Tensor, gate: Tensor, result: Tensor) -> Tensor:
    return torch.addcmul(x, gate.to(x.dtype), result.to(x.dtype))


def _heads(x: Tensor, attention: Any) -> Tensor:
    return x.unflatten(-1, (-1, attention.q_norm.weight.shape[0]))


def _again(part: Callable[..., Tensor], *inputs: Tensor | None) -> Tensor:
    if not torch.is_grad_enabled():
        return part(*inputs)
    return checkpoint(part, *inputs, use_reentrant=False, preserve_rng_state=False, context_fn=acting_again)
