"""The way in for context tokens into a UNet: keys and values of their own beside those of the prompt.

A UNet has no neutral padding: a zero vector in the prompt still takes part in the softmax. So tokens are read in an
attention of their own, before as many zeros as a prompt has words (attention to something else beside the text, as in
IP-Adapter, Ye 2023, 2308.06721), or are appended to the prompt, by the rows that take them alone; and rows of one batch
that differ are attended one after the other. ComfyUI repeats a shorter prompt until all of a batch are of one length,
which changes nothing while there is nothing beside it; so tokens that are appended are repeated as often.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from comfy.ldm.modules import attention as comfy_attention
from comfy.ldm.modules.attention import SpatialTransformer
from torch import Tensor

from ...training.fast_path.prompt_rows import attend_to_prompt, before_counted_zeros
from ..models.batch_parts import options_for
from ..models.token_source import TokenSet, TokenSource, without_sources

# Of ComfyUI's: part of the UNet ("input", "middle", "output"), number of the block in it, number in its transformer.
Place = tuple[str, int, int]
Replacement = Callable[[Tensor, Tensor, Tensor, dict[str, Any]], Tensor]
# CLIP reads texts in chunks of so many words; no prompt is shorter.
CHUNK = 77


def cross_attentions(unet: Any) -> dict[Place, Any]:
    """In the order in which a forward pass comes to them."""
    middle = [] if unet.middle_block is None else [unet.middle_block]
    parts = (("input", unet.input_blocks), ("middle", middle), ("output", unet.output_blocks))
    return {
        (part, number, index): block.attn2
        for part, modules in parts
        for number, module in enumerate(modules)
        for layer in module
        if isinstance(layer, SpatialTransformer)
        for index, block in enumerate(layer.transformer_blocks)
    }


def read_beside_prompt(
    patch_name: str,
    executor: Any,
    x: Tensor,
    timesteps: Tensor,
    context: Tensor,
    y: Tensor | None = None,
    control: Any = None,
    transformer_options: dict[str, Any] = {},  # noqa: B006  # as ComfyUI calls it; only read
    **more: Any,
) -> Tensor:
    """The `ModelFamily.reader` that lets all cross-attentions read what stands under this name among the patches,
    whatever other nodes have done to them, before or after."""
    options, sources = without_sources(transformer_options, patch_name)
    if sources:
        replaced = dict(options.get("patches_replace", {}))
        others, repeats = replaced.get("attn2", {}), repeats_of(context)
        replaced["attn2"] = {
            **others,
            **{
                place: BesidePrompt(attention, number, sources, repeats, others.get(place, others.get(place[:2])))
                for number, (place, attention) in enumerate(cross_attentions(executor.class_obj).items())
            },
        }
        options["patches_replace"] = replaced
    return executor(x, timesteps, context, y, control, options, **more)


def repeats_of(context: Tensor) -> tuple[int, ...]:
    """How often each row of `context` [B,L,D] says the same, in parts no shorter than a chunk. Waits for the device
    where L allows more than once."""
    rows, length = context.shape[:2]
    counts = [count for count in range(length // CHUNK, 1, -1) if length % count == 0]
    if not counts:
        return (1,) * rows
    same = [
        (context.unflatten(1, (count, length // count)) == context[:, None, : length // count]).flatten(1).all(1)
        for count in counts
    ]
    found = torch.stack(same, dim=1).tolist()
    return tuple(next((count for count, is_so in zip(counts, row, strict=True) if is_so), 1) for row in found)


def _of_rows(each: TokenSet, part: slice, like: Tensor) -> Tensor:
    """[1 or B,K,D]."""
    return (each.tokens[part] if each.tokens.ndim == 3 else each.tokens[None]).to(like)


@dataclass(frozen=True)
class BesidePrompt:
    """An attn2_replace for one cross-attention: rows that take tokens attend to them too, others keep every bit.

    number: of the cross-attention; before: what another node has put in its place, which then attends.
    """

    attention: Any
    number: int
    sources: Sequence[TokenSource]
    repeats: tuple[int, ...]
    before: Replacement | None

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, extra_options: dict[str, Any]) -> Tensor:
        """q [B,N,D], k and v [B,L,D] after their projections."""
        rows = q.shape[0]
        sets = [each for source in self.sources for each in source.sets(self.number, rows, k, extra_options)]
        repeats = self.repeats if len(self.repeats) == rows else (1,) * rows  # another patch has made more rows
        kinds = [(tuple(each.rows[row] for each in sets), repeats[row]) for row in range(rows)]
        runs = [
            list(run) for _, run in groupby(range(rows), key=lambda row: kinds[row] if any(kinds[row][0]) else None)
        ]
        attended = []
        for run in runs:
            part = slice(run[0], run[-1] + 1)
            taken, count = kinds[run[0]]
            chosen = [each for each, is_taken in zip(sets, taken, strict=True) if is_taken]
            beside, apart = ([_of_rows(each, part, k) for each in chosen if each.own == own] for own in (False, True))
            keys, values = self._with_tokens(k[part], v[part], beside, count)
            result = self._attend(q[part], keys, values, options_for(extra_options, part, rows))
            if apart:
                result = result + self._attend_to_own(q[part], apart, extra_options["n_heads"])
            attended.append(result)
        return attended[0] if len(attended) == 1 else torch.cat(attended)

    def _with_tokens(self, k: Tensor, v: Tensor, tokens: Sequence[Tensor], count: int) -> tuple[Tensor, Tensor]:
        """tokens: [1 or B,K,D] each."""
        if not tokens:
            return k, v
        keys, values = [k], [v]
        for each in tokens:
            keys.append(self.attention.to_k(each).repeat(1, count, 1).expand(len(k), -1, -1))
            values.append(self.attention.to_v(each).repeat(1, count, 1).expand(len(v), -1, -1))
        return torch.cat(keys, dim=1), torch.cat(values, dim=1)

    def _attend_to_own(self, q: Tensor, tokens: Sequence[Tensor], heads: int) -> Tensor:
        """q [B,N,D]; tokens: [1 or B,K,D] each, which share one attention."""
        together = torch.cat([each.expand(len(q), -1, -1) for each in tokens], dim=1)
        read, bias = before_counted_zeros(together, CHUNK)
        parts = (q, self.attention.to_k(read), self.attention.to_v(read))
        q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in parts)
        return attend_to_prompt(q, k, v, bias).transpose(1, 2).flatten(2)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, extra_options: dict[str, Any]) -> Tensor:
        if self.before is not None:
            return self.before(q, k, v, extra_options)
        return comfy_attention.optimized_attention(
            q,
            k,
            v,
            extra_options["n_heads"],
            attn_precision=extra_options["attn_precision"],
            transformer_options=extra_options,
        )
