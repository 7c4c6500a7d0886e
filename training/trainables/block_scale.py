"""A context's scale for each block of the model, as an artist writes it: `0-9:0.5, 10-27:1`."""

from __future__ import annotations

import re

from ...masking.wording import quoted

LONGEST_TEXT = 2000

_PART = re.compile(r"\s*(\d{1,4})(?:\s*-\s*(\d{1,4}))?\s*:\s*([0-9]*\.?[0-9]+)\s*", re.ASCII)


def parse_block_scale(text: str, num_blocks: int, largest: float) -> tuple[float, ...]:
    """A scale from 0 to `largest` for each block, 1 for those that `text` does not name.

    Raises one ValueError that names the part that is wrong and what it says.
    """
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"block_scale has {len(text):,} characters, expected at most {LONGEST_TEXT:,}")
    scales: dict[int, float] = {}
    for part in text.split(",") if text.strip() else ():
        found = _PART.fullmatch(part)
        if not found:
            raise _wrong(part, "expected blocks and a scale such as 0-9:0.5")
        first = int(found[1])
        last = first if found[2] is None else int(found[2])
        if not first <= last < num_blocks:
            raise _wrong(part, f"expected blocks from 0 to {num_blocks - 1}, the lower one first")
        scale = float(found[3])
        if scale > largest:
            raise _wrong(part, f"expected a scale from 0 to {largest:g}")
        for block in range(first, last + 1):
            if block in scales:
                raise _wrong(part, f"block {block} is named before it, expected each block once")
            scales[block] = scale
    return tuple(scales.get(block, 1.0) for block in range(num_blocks))


def _wrong(part: str, expected: str) -> ValueError:
    return ValueError(f"block_scale: {quoted(part.strip())} is not understood: {expected}")
