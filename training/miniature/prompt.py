"""The miniature's text encoder: a caption is a list of tags, each with a learned embedding, padded with zero vectors.

Anima's conditioning ends in zero vectors too (it is padded to 512), and context tokens take their place.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .scene import vocabulary

PADDED_LENGTH = 32


class TagEncoder(nn.Module):
    """Tags to context [1,32,D]; a comma separates tags, a tag outside the vocabulary is skipped.

    The vocabulary belongs to the weights: row i of the embedding is its tag i.
    """

    def __init__(self, dim: int, known: Sequence[str] | None = None) -> None:
        super().__init__()
        self.index = {tag: number for number, tag in enumerate(vocabulary() if known is None else known)}
        self.embedding = nn.Embedding(len(self.index), dim)
        self.norm = nn.RMSNorm(dim, eps=1e-6)

    def tags(self, prompt: str) -> list[str]:
        """The known tags of a prompt, in order, without repeats."""
        words = (" ".join(word.lower().replace("_", " ").split()) for word in prompt.split(","))
        return [word for word in dict.fromkeys(words) if word in self.index][:PADDED_LENGTH]

    def unknown(self, prompt: str) -> list[str]:
        """The tags of a prompt that the miniature does not know."""
        words = (" ".join(word.lower().replace("_", " ").split()) for word in prompt.split(","))
        return [word for word in dict.fromkeys(words) if word and word not in self.index]

    def forward(self, numbers: Tensor) -> Tensor:
        """Tag numbers [B,L] (-1 is padding) to [B,L,D]."""
        known = (numbers >= 0).unsqueeze(-1)
        return torch.where(known, self.norm(self.embedding(numbers.clamp(min=0))), 0)

    def with_vectors(self, numbers: Tensor, vectors: Tensor, strength: float = 1.0) -> Tensor:
        """As `forward`, with vectors [K,D] in the place of the first K tags that are none.

        strength: of what the vectors are encoded to. Raises ValueError where there is no room for them.
        """
        used = (numbers >= 0).sum(1)
        if int(used.max()) + len(vectors) > numbers.shape[1]:
            raise ValueError(
                f"a prompt of {int(used.max())} words and an embedding of {len(vectors)} vectors came, expected "
                f"{numbers.shape[1]} or fewer together"
            )
        places = (used[:, None] + torch.arange(len(vectors), device=numbers.device))[..., None]
        encoded = (strength * self.norm(vectors)).expand(len(numbers), -1, -1)
        return self(numbers).scatter(1, places.expand_as(encoded), encoded)

    def encode(self, prompt: str) -> Tensor:
        return self(self.numbers(prompt))

    def numbers(self, prompt: str) -> Tensor:
        """The numbers [1,32] of a prompt's tags."""
        known = [self.index[tag] for tag in self.tags(prompt)]
        return torch.tensor([known + [-1] * (PADDED_LENGTH - len(known))], device=self.embedding.weight.device)
