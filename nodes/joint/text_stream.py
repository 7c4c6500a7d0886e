"""The way in for context tokens into a transformer that reads text and picture as one sequence: they follow the prompt.

All blocks read them, so there is one set. Rows of a batch that take different tokens go through the network one after
the other: so no row has to be told by a mask which of the others' tokens it is to leave out.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from ..models.batch_parts import options_for, part_of
from ..models.token_source import without_sources


def follow_prompt(
    patch_name: str,
    executor: Any,
    x: Tensor,
    timestep: Tensor,
    context: Tensor,
    guidance: Tensor | None = None,
    control: Any = None,
    transformer_options: dict[str, Any] = {},  # noqa: B006  # as ComfyUI calls it; only read
    **more: Any,
) -> Tensor:
    """The `ModelFamily.reader` that lets the text be followed by what stands under this name among the patches."""
    options, sources = without_sources(transformer_options, patch_name)
    batch = len(x)
    sets = [each for source in sources for each in source.sets(0, batch, context, transformer_options)]
    taken = [tuple(each.rows[row] for each in sets) for row in range(batch)]
    outputs = []
    for chosen, run in groupby(range(batch), key=taken.__getitem__):
        rows = list(run)
        part = slice(rows[0], rows[-1] + 1)
        tokens = [
            (each.tokens[part] if each.tokens.ndim == 3 else each.tokens[None]).to(context)
            for each, is_taken in zip(sets, chosen, strict=True)
            if is_taken
        ]
        own = {name: part_of(value, part, batch) for name, value in more.items()}
        given = part_of((x, timestep, guidance, control), part, batch)
        text, own["attention_mask"] = followed(context[part], tokens, own.get("attention_mask"))
        outputs.append(executor(given[0], given[1], text, given[2], given[3], options_for(options, part, batch), **own))
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def followed(context: Tensor, tokens: list[Tensor], mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """context [B,L,D] with tokens [1 or B,K,D] after it, and the mask [...,L+N or 1,L+N] of the whole sequence, in
    which nobody leaves them out."""
    if not tokens:
        return context, mask
    length, added = context.shape[1], sum(each.shape[1] for each in tokens)
    text = torch.cat([context, *(each.expand(len(context), -1, -1) for each in tokens)], dim=1)
    if mask is not None:
        seen = 1 if mask.dtype == torch.bool else 0  # of a mask that is added
        for axis in (-1, -2) if mask.shape[-2] == mask.shape[-1] else (-1,):
            before, after = mask.split([length, mask.shape[axis] - length], dim=axis)
            shape = list(mask.shape)
            shape[axis] = added
            mask = torch.cat([before, before.new_full(shape, seen), after], dim=axis)
    return text, mask
