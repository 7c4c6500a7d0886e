"""ComfyUI's text encoder with a backward pass from the conditioning to vectors that stand among the words."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ..models.frozen_weights import differentiable_linear_layers, frozen_weights
from ..models.model_loading import training_clone

# ComfyUI's tokens: by encoder ("l", "g"), chunks of 77 pairs of a number, or a vector, and its weight.
Tokens = dict[str, list[list[tuple[Any, float]]]]
# As ComfyUI, and the keys of embedding files, call them.
ENCODERS = ("clip_l", "clip_g")
_STAND_IN = "stand_in"  # the name of an embedding whose vectors are put in later


class TextEncoder:
    """The encoders of a CLIP, by the names of their keys in embedding files: clip_l, and in SDXL clip_g too."""

    def __init__(self, clip: Any) -> None:
        self._clip = clip
        self.patcher = training_clone(clip.patcher, "auto")

    @property
    def _encoders(self) -> dict[str, Any]:
        """ComfyUI's, by our names."""
        return {name: getattr(self.patcher.model, name) for name in ENCODERS if hasattr(self.patcher.model, name)}

    def word_tables(self) -> dict[str, Tensor]:
        """The vectors of all words [words,D], by encoder, as they lie in memory."""
        return {
            name: encoder.transformer.get_input_embeddings().weight.detach() for name, encoder in self._encoders.items()
        }

    def words(self, text: str) -> dict[str, Tensor]:
        """Those of a text [n,D], by encoder, without what begins, ends and pads it."""
        tokens: Tokens = self._clip.tokenize(text)
        found = {}
        for (name, encoder), table in zip(self._encoders.items(), self.word_tables().values(), strict=True):
            special = set(encoder.special_tokens.values())
            named = [token for chunk in tokens[name.removeprefix("clip_")] for token, _ in chunk]
            numbers = [token for token in named if isinstance(token, int) and token not in special]
            found[name] = table[torch.tensor(numbers, dtype=torch.long, device=table.device)].float()
        return found

    def tokens_with(self, prompt: str, count: int) -> Tokens:
        """The prompt with an embedding of `count` vectors after its words, as an artist would write it; in the place
        of each vector stands its number as a float32 tensor [1]."""
        tables = self.word_tables()
        rows = {name: torch.arange(count).float()[:, None].repeat(1, table.shape[1]) for name, table in tables.items()}
        with tempfile.TemporaryDirectory() as folder:
            save_file(rows, Path(folder) / f"{_STAND_IN}.safetensors")
            with embeddings_in(folder, self._clip):
                tokens: Tokens = self._clip.tokenize(with_embedding(prompt, _STAND_IN))
        return tokens

    def encode(self, tokens: Tokens, vectors: Mapping[str, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """The conditioning [1,L,D] and the pooled vector [1,P]. vectors: [K,D] for each encoder, in the places that
        `tokens_with` left for them."""
        model = self.patcher.model
        if vectors is not None:
            tokens = {name: _filled(chunks, vectors[f"clip_{name}"]) for name, chunks in tokens.items()}
        model.reset_clip_options()
        if self._clip.layer_idx is not None:
            model.set_clip_options({"layer": self._clip.layer_idx})
        model.set_clip_options({"execution_device": self.patcher.load_device})
        encoded, pooled, *_ = model.encode_token_weights(tokens)
        return encoded, pooled

    @contextmanager
    def differentiable(self) -> Iterator[None]:
        """Inside, `encode` has a backward pass; the weights are on their device already."""
        with ExitStack() as entered:
            for enter in (frozen_weights, differentiable_linear_layers, norms_that_copy):
                entered.enter_context(enter(self.patcher.model))
            yield


def with_embedding(prompt: str, name: str) -> str:
    """A prompt that ends with an embedding, in ComfyUI's words."""
    return f"{prompt}, embedding:{name}" if prompt.strip() else f"embedding:{name}"


@contextmanager
def norms_that_copy(module: nn.Module) -> Iterator[None]:
    """Inside, layer norms read a copy: CLIP's layers add to their input in place, which would overwrite what a norm has
    to remember for its backward pass."""
    norms = [each for each in module.modules() if isinstance(each, nn.LayerNorm)]
    hooks = [norm.register_forward_pre_hook(_copy_input) for norm in norms]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _copy_input(norm: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    first, *rest = inputs
    return first.clone(), *rest


def _filled(chunks: list[list[tuple[Any, float]]], vectors: Tensor) -> list[list[tuple[Any, float]]]:
    """The chunks of one encoder with vectors [K,D] in the places of their numbers."""
    return [
        [(vectors[int(token[0])] if isinstance(token, Tensor) else token, weight) for token, weight in chunk]
        for chunk in chunks
    ]


@contextmanager
def embeddings_in(folder: str, clip: Any) -> Iterator[None]:
    """Inside, ComfyUI's tokenizers look for embeddings there."""
    tokenizers = [tokenizer for name in ENCODERS if (tokenizer := getattr(clip.tokenizer, name, None))]
    before = [tokenizer.embedding_directory for tokenizer in tokenizers]
    try:
        for tokenizer in tokenizers:
            tokenizer.embedding_directory = [folder]
        yield
    finally:
        for tokenizer, directory in zip(tokenizers, before, strict=True):
            tokenizer.embedding_directory = directory
