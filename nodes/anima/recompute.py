"""Trades time for memory: each transformer block is computed again in the backward pass instead of being remembered.

Gradient checkpointing follows Chen 2016 (arXiv 1604.06174). ComfyUI's classes stay as they are: each block of
the one model at hand gets a forward of its own for as long as training runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...training.adapters.acting import acting_again

# Activations that one block of Anima keeps for the backward pass, in tensors of the size of its residual stream.
TENSORS_PER_BLOCK = 36


@contextmanager
def recompute_blocks(blocks: Sequence[nn.Module]) -> Iterator[None]:
    """Inside, each of `blocks` keeps only its input for the backward pass and is computed again there."""
    own_forwards = [block.__dict__.get("forward") for block in blocks]
    try:
        for block in blocks:
            block.forward = _recomputed(block.forward)
        yield
    finally:
        for block, own_forward in zip(blocks, own_forwards, strict=True):
            if own_forward is None:
                block.__dict__.pop("forward", None)
            else:
                block.forward = own_forward


def _recomputed(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def recomputed_forward(*args: Any, **kwargs: Any) -> Tensor:
        # The model writes the index of the current block into one dictionary for all blocks; the second pass needs this
        # one's.
        if "transformer_options" in kwargs:
            kwargs["transformer_options"] = dict(kwargs["transformer_options"])
        return checkpoint(
            forward, *args, use_reentrant=False, preserve_rng_state=False, context_fn=acting_again, **kwargs
        )

    return recomputed_forward


def activation_bytes(num_blocks: int, width: int, positions: int, dtype: torch.dtype) -> int:
    """What the blocks keep for the backward pass where none is recomputed.

    positions: patches of the image times images in the batch. 1024 positions of Anima in bfloat16 are 0.15 GB a block.
    """
    return num_blocks * TENSORS_PER_BLOCK * positions * width * dtype.itemsize
