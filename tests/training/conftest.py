"""Two backbones for the tests, one of a few hundred numbers whose behaviour is known exactly and the real miniature;
and signals as a process in the foreground has them."""

from __future__ import annotations

import functools
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from small_backbone import TinyBackbone, tiny_reference

from anima_fast_train.training import EncodedReference
from anima_fast_train.training.command_line.stopping_signals import ENDING
from anima_fast_train.training.miniature.backbone import MiniatureBackbone


@pytest.fixture
def tiny() -> TinyBackbone:
    return TinyBackbone()


@pytest.fixture
def make_tiny() -> Callable[[int], TinyBackbone]:
    """Tiny backbones for latents of so many dimensions."""
    return TinyBackbone


@pytest.fixture(scope="session")
def miniature() -> MiniatureBackbone:
    return MiniatureBackbone()


@pytest.fixture
def heeded() -> Iterator[None]:
    """Signals that nothing has told this process to ignore, as nohup and shells do for what runs in the background."""
    own = {signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, own.get(number, signal.SIG_DFL)) for number in ENDING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def encoded(tiny: TinyBackbone) -> Callable[..., EncodedReference]:
    """Makes references for the tiny backbone: a bright square, which the mask selects, on a dark and noisy ground."""
    return functools.partial(tiny_reference, tiny)
