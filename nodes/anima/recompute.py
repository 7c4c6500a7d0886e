"""Trades time for memory: each transformer block is computed again in the backward pass instead of being remembered.

Gradient checkpointing follows Chen 2016 (arXiv 1604.06174). ComfyUI's classes stay as they are: each block of
the one model at hand gets a forward of its own for as long as training runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...training.adapters.acting import acting_again


@contextmanager
def own_forwards(blocks: Sequence[nn.Module], wrapped: Callable[[nn.Module], Callable[..., Tensor]]) -> Iterator[None]:
    """Inside, each of `blocks` has the forward that `wrapped` gives for it; afterwards what it had before."""
    before = [block.__dict__.get("forward") for block in blocks]
    try:
        for block in blocks:
            block.forward = wrapped(block)
        yield
    finally:
        for block, own_forward in zip(blocks, before, strict=True):
            if own_forward is None:
                block.__dict__.pop("forward", None)
            else:
                block.forward = own_forward


def recompute_blocks(blocks: Sequence[nn.Module]) -> AbstractContextManager[None]:
    """Inside, each of `blocks` keeps only its input for the backward pass and is computed again there."""
    return own_forwards(blocks, recomputed)


def recomputed(block: nn.Module) -> Callable[..., Tensor]:
    """The forward of `block`, which keeps only its input for the backward pass and is computed again there."""
    forward = block.forward

    def recomputed_forward(*args: Any, **kwargs: Any) -> Tensor:
        # The model writes the index of the current block into one dictionary for all blocks; the second pass needs this
        # one's.
        if "transformer_options" in kwargs:
            kwargs["transformer_options"] = dict(kwargs["transformer_options"])
        return checkpoint(
            forward, *args, use_reentrant=False, preserve_rng_state=False, context_fn=acting_again, **kwargs
        )

    return recomputed_forward
