"""Puts context tokens where a frozen model reads them: into the zero padding of its conditioning.

Anima pads the conditioning with zero vectors to 512 before cross-attention, where zero keys act as attention sinks.
There is no positional encoding in cross-attention, so a token may stand in any slot. The last K slots keep shapes
static and leave the prompt and the number of keys as they were. Trained vectors beside the prompt follow prefix tuning
(Li and Liang 2021, arXiv 2101.00190); one set per block follows P+ (Voynov 2023, 2303.09522).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def free_slots(context: Tensor) -> tuple[int, ...]:
    """How many all-zero vectors end each row of `context` [B,L,D]: one number a row, on the host.

    Waits for the device once. A sampler asks once per context and hands the answer to every `insert_tokens`.
    """
    length = context.shape[1]
    position = torch.arange(1, length + 1, device=context.device)
    last_used = ((context != 0).any(dim=2) * position).amax(dim=1)
    return tuple((length - last_used).tolist())


def insert_tokens(
    context: Tensor,
    tokens: Tensor,
    *,
    free: Sequence[int] | None = None,
    rows: Sequence[bool] | Tensor | None = None,
) -> Tensor:
    """`context` with `tokens` in the place of its last K all-zero slots.

    Where a selected row has fewer than K free slots, the whole batch is first extended by the missing number of zero
    slots.

    context: [B,L,D]; tokens: [K,D] for all rows or [B,K,D], cast to the context's dtype and device; gradient flows into
    them.
    free: `free_slots(context)` where the caller already knows it; then nothing here waits for the device.
    rows: [B], True where a row takes the tokens; other rows keep every bit. All rows by default. A list or a CPU
        tensor; a tensor on the device has to be waited for.
    Returns [B,L',D], contiguous; the context itself when there is no token or no selected row.
    """
    batch, _, width = context.shape
    count = tokens.shape[-2]
    if tokens.shape[-1] != width or tokens.ndim not in (2, 3) or (tokens.ndim == 3 and tokens.shape[0] != batch):
        raise ValueError(
            f"context tokens have shape {list(tokens.shape)}, expected [K, {width}] or [{batch}, K, {width}]"
        )
    selected = (
        [True] * batch if rows is None else [bool(row) for row in (rows.tolist() if isinstance(rows, Tensor) else rows)]
    )
    if len(selected) != batch:
        raise ValueError(f"rows names {len(selected)} rows, expected {batch} like the context")
    if count == 0 or not any(selected):
        return context

    if free is None:
        free = free_slots(context)
    missing = max(0, count - min(slots for slots, chosen in zip(free, selected, strict=True) if chosen))
    if missing > 0:
        context = torch.cat([context, context.new_zeros(batch, missing, width)], dim=1)
    inserted = tokens.to(context).expand(batch, count, width)
    if not all(selected):
        # Copied without waiting: the device may still be busy with the step before.
        chosen_rows = torch.tensor(selected).to(context.device, non_blocking=True)
        inserted = torch.where(chosen_rows[:, None, None], inserted, context[:, -count:])
    return torch.cat([context[:, :-count], inserted], dim=1)


def before_zeros(tokens: Tensor, context: Tensor) -> Tensor:
    """What an attention of the tokens' own reads: tokens [K,D] or [B,K,D] before as many zero vectors as `context`
    [B,L,D] has vectors: [B,K+L,D]."""
    return torch.cat([tokens.to(context).expand(len(context), -1, -1), torch.zeros_like(context)], dim=1)
