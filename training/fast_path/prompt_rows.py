"""What cross-attention reads, without the hundreds of zero vectors that end a prompt.

Anima pads prompts with zeros to 512 vectors. A zero vector has a key of zeros and a value of zeros: it adds exp(0) to
the sum that divides the attention weights, and nothing else. So the zeros are counted instead of computed: one key
stands for N of them, with log N added to its score. The result is the same number, not an approximation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

MULTIPLE = 8  # of keys, which matrix units and attention kernels like


@dataclass(frozen=True)
class PromptRows:
    """words: [B,n,D], the prompts up to the last vector that is not zero in any row; length: with the zeros that were
    cut off behind them."""

    words: Tensor
    length: int

    def beside(self, tokens: Tensor | None) -> tuple[Tensor, Tensor]:
        """The vectors [B,m,D] that keys and values are made of, and what is added to their scores, [m].

        tokens: [K,D] or [B,K,D] that take the place of zeros; where there are too few of them the prompt grows.
        """
        batch, used, width = self.words.shape
        parts = [self.words]
        if tokens is not None:
            parts.append(tokens.to(self.words).expand(batch, -1, -1))
            used += tokens.shape[-2]
        zeros = max(0, self.length - used)
        computed = min(zeros, -used % MULTIPLE or MULTIPLE)
        if computed:
            parts.append(self.words.new_zeros(batch, computed, width))
        bias = self.words.new_zeros(used + computed)
        if zeros > computed:
            bias[-1] = math.log(zeros - computed + 1)
        return torch.cat(parts, 1), bias

    def apart_from(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The same for an attention of the tokens' own: they stand before as many zeros as the prompt has vectors."""
        return before_counted_zeros(tokens.to(self.words).expand(len(self.words), -1, -1), self.length)


def before_counted_zeros(tokens: Tensor, zeros: int) -> tuple[Tensor, Tensor]:
    """Tokens [B,K,D] and so many zeros, as `PromptRows.beside` has them."""
    return PromptRows(tokens, zeros + tokens.shape[1]).beside(None)


def prompt_rows(vectors: Tensor, used: int) -> PromptRows:
    """vectors: [B,L,D], zero from `used` on in every row; at least one vector is kept."""
    return PromptRows(vectors[:, : max(1, used)], vectors.shape[1])


def attend_to_prompt(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """softmax(q·k / sqrt(d) + bias)·v for q [B,H,L,d], k and v [B,H,m,d], bias [m] in the dtype of q -> [B,H,L,d].

    On a CPU, weights that are written out are faster for so few keys (backward of torch 2.13's fused attention took 1.7
    to 4 times as long for 32 keys) and are computed again in the backward pass; elsewhere it is torch's own attention.
    """
    if q.device.type == "cpu":
        return _FewKeys.apply(q, k, v, bias)
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=bias.expand(1, 1, q.shape[2], -1))


def attend_to_both(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, own_bias: Tensor) -> Tensor:
    """The attention of q to the first of the keys and values, those that `bias` is for, and that to the others, summed;
    shapes as for `attend_to_prompt`."""
    prompt, own = slice(None, len(bias)), slice(len(bias), None)
    return attend_to_prompt(q, k[:, :, prompt], v[:, :, prompt], bias) + attend_to_prompt(
        q, k[:, :, own], v[:, :, own], own_bias
    )


class _FewKeys(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(q, k, v, bias)
        return _weights(q, k, bias) @ v

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[no-untyped-def]
        q, k, v, bias = ctx.saved_tensors
        weights = _weights(q, k, bias)
        v_grad = weights.transpose(-1, -2) @ grad
        scores_grad = torch._softmax_backward_data(grad @ v.transpose(-1, -2), weights, -1, weights.dtype)
        scores_grad.mul_(q.shape[-1] ** -0.5)
        return scores_grad @ k, scores_grad.transpose(-1, -2) @ q, v_grad, None


def _weights(q: Tensor, k: Tensor, bias: Tensor) -> Tensor:
    scores = q @ k.transpose(-1, -2)
    return torch.add(bias, scores, alpha=q.shape[-1] ** -0.5).softmax(-1)
