"""The miniature's transformer on the fast path of training: the same numbers as its own forward, for less."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..fast_path.block import Kept, Pass, through_block
from ..fast_path.prompt_rows import prompt_rows
from ..fast_path.rotary import normed_and_rotated
from ..trainables.placed_tokens import Tokens, placed
from .architecture import MiniatureTransformer, rotary_positions


def fast_forward(
    transformer: MiniatureTransformer,
    x: Tensor,
    timestep: Tensor,
    context: Tensor,
    used: int,
    tokens: Tokens | None = None,
    kept: Sequence[Kept] | None = None,
    through: Callable[..., Tensor] = through_block,
) -> Tensor:
    """As MiniatureTransformer.forward of frozen weights. used: how many vectors of context are not padding; kept: what
    each block keeps for the backward pass, all of it by default; through: `through_block`, or that compiled."""
    h, time, shared, rows, columns = transformer.embedded(x, timestep)
    size = transformer.size
    cosine, sine = _tables(rows, columns, size.model_channels // size.num_heads, x.device)

    def rotate(attention: Any, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        q_norm, k_norm = attention.q_norm, attention.k_norm
        return (
            normed_and_rotated(q, cosine, sine, q_norm.weight, q_norm.eps),
            normed_and_rotated(k, cosine, sine, k_norm.weight, k_norm.eps),
        )

    prompt, beside = prompt_rows(context, used), placed(tokens)
    step = Pass(time, shared, prompt, rotate, functional.scaled_dot_product_attention)
    for index, block in enumerate(transformer.blocks):
        h = through(block, h, beside.of_block(index), step, Kept.ALL if kept is None else kept[index])
    return transformer.unpatched(h, time, shared, x.shape)


@lru_cache(maxsize=8)
def _tables(rows: int, columns: int, head_dim: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines [rows*columns, head_dim/2]."""
    with torch.inference_mode(False):
        cosine, sine = rotary_positions(1, rows, columns, head_dim, device).unbind(-1)
    return cosine, sine
