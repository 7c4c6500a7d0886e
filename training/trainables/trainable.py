"""What the optimiser moves, as the trainer sees it: context tokens, and whatever else may be trained against a
backbone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from ..training_info import TrainingInfo

# A copy of what was trained, by name, that later steps do not change.
Kept = dict[str, Tensor]


class Acting(Protocol):
    """What samples need of something trained."""

    @property
    def prompt_words(self) -> str:
        """What a prompt has to say for it to act as it was trained; nothing where it says all itself."""

    def at(self, level: Tensor) -> Any:
        """What the backbone takes as `trained` for rows of the prompt at levels [B]."""

    def at_level(self, level: float, negative: bool = False) -> Any:
        """What it takes for all rows of the prompt, or of the negative prompt, at one level; None for nothing."""

    def scaled(self, scale: float) -> Acting:
        """The same at a strength; 0 acts not at all."""


class Trained(Acting, Protocol):
    """What a trainable exports: what goes on the wire and into a file, on the CPU."""

    @property
    def noun(self) -> str:
        """What sentences call it, and files in small letters."""

    @property
    def larger(self) -> str:
        """What gives it more room, in words."""

    @property
    def info(self) -> TrainingInfo: ...

    def summary(self) -> str:
        """One line of a report that says what it is, and how large."""

    def scaled(self, scale: float) -> Trained: ...

    def save(self, path: Path) -> None:
        """Writes its file whole or not at all. Raises OSError in one sentence, ValueError where it is not finite."""


class Trainable(Protocol):
    """Everything is float32 on one device. leaves: the parameters that the optimiser is given, in an order that never
    changes."""

    leaves: list[Tensor]

    def at(self, level: Tensor, kept: Kept | None = None) -> Any:
        """What the backbone takes as `trained` for rows at these levels [B].

        Of a copy that was kept, or as it is now, attached to the leaves.
        """

    def unlearned(self, level: Tensor) -> Any:
        """What the backbone takes where nothing was learned yet, to which prior preservation holds the model outside
        the mask: what the trainable says from the start, or None."""

    def after_step(self) -> None:
        """Called after each optimiser step."""

    def kept(self) -> Kept:
        """A copy of what a run that ended here would hand on, such as an average over the last steps."""

    def reset_to(self, kept: Kept) -> None:
        """Goes back to an earlier copy."""

    def state(self) -> dict[str, Tensor]:
        """Everything that a resumed run needs, by name."""

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Puts back what `state` gave; the tensors stay the caller's."""

    def export(self, kept: Kept, info: TrainingInfo) -> Trained:
        """What was kept, with what it was trained on."""
