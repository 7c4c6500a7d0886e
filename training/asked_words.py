"""How a tag is said while the model is asked about it: beside the prompt, as a context says it, or in the prompt, as an
artist writes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Protocol

import torch
from torch import Tensor

from .backbone import Backbone, TokenBackbone
from .conditioning import Conditioning
from .references.caption import with_tags
from .references.encode import EncodedReference
from .trainables.token_trainable import prompt_vectors


class AskedWords(Protocol):
    """known: the tags that the model has a meaning for, in their order."""

    known: list[str]

    def said(self, reference: EncodedReference, tag: str) -> tuple[Conditioning, Tensor | None]:
        """One row of the reference's prompt, and tokens beside it or None, with which the tag is said."""


class BesidePrompts:
    """Vectors of the prompt's own kind, which every block reads."""

    def __init__(self, backbone: TokenBackbone, tags: Iterable[str]) -> None:
        self._blocks, self._vectors = backbone.num_blocks, {}
        for tag in tags:
            with suppress(ValueError):  # a word that this model does not know
                self._vectors[tag] = prompt_vectors(backbone, tag)
        self.known = list(self._vectors)

    def said(self, reference: EncodedReference, tag: str) -> tuple[Conditioning, Tensor | None]:
        vectors = self._vectors[tag].to(reference.latent.device)
        return reference.conditioning, vectors.expand(self._blocks, -1, -1)


class InPrompts:
    """Behind what the prompts of the references say. All are encoded at once, so that a GPU with room for one model
    loads the text encoder once."""

    def __init__(self, backbone: Backbone, references: Sequence[EncodedReference], tags: Iterable[str]) -> None:
        tags, captions = list(tags), dict.fromkeys(reference.caption for reference in references)
        plain = {caption: backbone.encode_prompt(caption) for caption in captions}
        self._prompts = {
            (caption, tag): backbone.encode_prompt(with_tags(caption, tag)) for caption in captions for tag in tags
        }
        # One that the model does not know changes no prompt.
        self.known = [
            tag
            for tag in tags
            if any(not torch.equal(plain[each].vectors, self._prompts[each, tag].vectors) for each in captions)
        ]

    def said(self, reference: EncodedReference, tag: str) -> tuple[Conditioning, Tensor | None]:
        return self._prompts[reference.caption, tag], None
