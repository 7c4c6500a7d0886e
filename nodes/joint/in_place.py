"""Lets gradient flow through Flux's and Chroma's blocks, which add to their input in place to save memory.

What a layer norm has kept for the backward pass would be changed after it, and what a block is computed again from,
too; so norms and blocks are given copies of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

CHANGED = ("img", "txt", "x")  # arguments of blocks


@contextmanager
def differentiable_blocks(diffusion_model: Any) -> Iterator[None]:
    """Inside, the blocks of this one model leave their input as it is; afterwards all is what it was."""
    blocks = [*diffusion_model.double_blocks, *diffusion_model.single_blocks]
    norms = [each for block in blocks for each in block.modules() if isinstance(each, nn.LayerNorm)]
    copying: list[tuple[nn.Module, Callable]] = [*((each, _copying) for each in (*norms, *blocks))]
    before = [(module, module.__dict__.get("forward")) for module, _ in copying]
    try:
        for module, wrapped in copying:
            module.forward = wrapped(module.forward)
        yield
    finally:
        for module, own in before:
            if own is None:
                module.__dict__.pop("forward", None)
            else:
                module.forward = own


def _copying(forward: Callable) -> Callable:
    def forward_of_a_copy(*args: Any, **kwargs: Any) -> Any:
        if args:
            args = (args[0].clone(), *args[1:])
        for name in CHANGED:
            if isinstance(kwargs.get(name), Tensor):
                kwargs[name] = kwargs[name].clone()
        return forward(*args, **kwargs)

    return forward_of_a_copy
