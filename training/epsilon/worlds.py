"""The bundled models of the drawn world, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...masking.wording import quoted
from ..miniature.backbone import WEIGHTS as MINIATURE_WEIGHTS
from ..miniature.backbone import DrawnBackbone, MiniatureBackbone
from .backbone import WEIGHTS as EPSILON_WEIGHTS
from .backbone import EpsilonBackbone


@dataclass(frozen=True)
class World:
    """load: the model of the weights that are bundled."""

    description: str
    weights: Path
    load: Callable[[], DrawnBackbone]


MINIATURE = "miniature"
WORLDS = {
    MINIATURE: World("Anima's transformer at a small size", MINIATURE_WEIGHTS, MiniatureBackbone),
    "epsilon": World("SD's UNet at a small size, which predicts noise", EPSILON_WEIGHTS, EpsilonBackbone),
}
WORLD_HELP = "; ".join(f"{name}: {world.description}" for name, world in WORLDS.items()) + "."


def world_called(name: str) -> World:
    """Raises ValueError for a name that none has."""
    if name not in WORLDS:
        raise ValueError(f"world is {quoted(name, 60)}, expected one of: {', '.join(WORLDS)}")
    return WORLDS[name]
