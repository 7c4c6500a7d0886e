"""What a backbone is given of an embedding: vectors that stand after the words of each row's prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class WordVectors:
    """vectors: [K,D] for each text encoder of the model, by its name, such as clip_l; what it is given as words.

    strength: of what they mean once encoded, as in (embedding:name:0.5); 0 is the prompt without them.
    """

    vectors: Mapping[str, Tensor]
    strength: float = 1.0

    @property
    def count(self) -> int:
        """K."""
        return len(next(iter(self.vectors.values())))
