"""Lets adapters act in any model by forwards of its layers' own, for as long as a context lasts.

A forward looks up who acts at the moment it is called. Without an adapter it is the layer's own, to the bit; and a
block that is computed again in the backward pass is computed with the adapters of the first time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Protocol

from torch import Tensor, nn

from .layers import adaptable_modules

# Of a layer, by itself.
Forward = Callable[[Tensor], Tensor]


class Acting(Protocol):
    """What changes the outputs of layers."""

    def forward(self, name: str, layer: nn.Module, own_forward: Forward, x: Tensor) -> Tensor:
        """What the layer of this name puts out for the input x, of the dtype of its own forward."""


_ACTING: ContextVar[Acting | None] = ContextVar("acting", default=None)


@contextmanager
def adaptable(model: nn.Module, without: Sequence[str] = ()) -> Iterator[None]:
    """Inside, the layers of the model add what the adapters of `acting` say; afterwards each has the forward that it
    had, whichever that was."""
    changed: list[tuple[nn.Module, Callable[..., Tensor] | None]] = []
    try:
        for name, layer in adaptable_modules(model, without):
            changed.append((layer, layer.__dict__.get("forward")))
            layer.forward = _adapted(name, layer, layer.forward)
        yield
    finally:
        for layer, own_forward in reversed(changed):
            if own_forward is None:
                layer.__dict__.pop("forward", None)
            else:
                layer.forward = own_forward


@contextmanager
def acting(adapters: Acting | None) -> Iterator[None]:
    """Inside, these adapters act in models that are `adaptable`; None for nobody."""
    token = _ACTING.set(adapters)
    try:
        yield
    finally:
        _ACTING.reset(token)


def acting_again() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """The `context_fn` for torch.utils.checkpoint: what is computed again is computed with the adapters of the first
    time."""
    return nullcontext(), acting(_ACTING.get())


def _adapted(name: str, layer: nn.Module, forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def adapted_forward(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        adapters = _ACTING.get()
        if adapters is None:
            return forward(x, *args, **kwargs)
        return adapters.forward(name, layer, lambda x: forward(x, *args, **kwargs), x)

    return adapted_forward
