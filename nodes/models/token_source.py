"""What gives a cross-attention its tokens, in training and in sampling, whatever way in a family has for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from ...training.trainables.placed_tokens import PlacedTokens


@dataclass(frozen=True)
class TokenSet:
    """Tokens [K,D], or [B,K,D] with a set for each row, and for each row of the batch whether it takes them. own:
    whether they have an attention of their own, which all such sets of a row share."""

    tokens: Tensor
    rows: tuple[bool, ...]
    own: bool = False


class TokenSource(Protocol):
    def sets(self, block: int, rows: int, like: Tensor, options: dict[str, Any]) -> list[TokenSet]:
        """What block `block` reads now, for a batch of so many rows.

        like: a tensor of the prompt, for its dtype and device. options: ComfyUI's transformer_options of the call.
        """

    def forget(self) -> None:
        """Lets go of what belongs to one sampling run."""


class TrainedTokens:
    """All rows read what is trained: tokens [blocks,K,D] or [B,blocks,K,D]."""

    def __init__(self, tokens: PlacedTokens) -> None:
        self._tokens = tokens

    def sets(self, block: int, rows: int, like: Tensor, options: dict[str, Any]) -> list[TokenSet]:
        return [TokenSet(tokens, (True,) * rows, own) for tokens, own in self._tokens.of_block(block).by_attention()]

    def forget(self) -> None: ...


class TokenPatch:
    """What stands among ComfyUI's patches for a source. ComfyUI calls `cleanup` when sampling ends."""

    def __init__(self, source: TokenSource) -> None:
        self.source = source

    def cleanup(self) -> None:
        self.source.forget()


def without_sources(options: dict[str, Any], patch_name: str) -> tuple[dict[str, Any], list[TokenSource]]:
    """ComfyUI's transformer_options without the patches of this name, and the sources that these held: a way in that
    reads them itself hides them from the network."""
    patches = dict(options.get("patches", {}))
    sources = [patch.source for patch in patches.pop(patch_name, ()) if isinstance(patch, TokenPatch)]
    return {**options, "patches": patches}, sources
