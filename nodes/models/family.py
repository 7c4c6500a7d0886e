"""What belongs to one model family alone, as the rest of the nodes asks for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from comfy.model_base import BaseModel
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from torch import Tensor, nn

from ...masking.framing import Framing
from ...training.conditioning import Conditioning, LengthRule
from ...training.fast_path.memory_plan import Activations
from ...training.references.scenery import Scenery
from ...training.references.subject_tags import SubjectTags
from .danbooru_subject import SUBJECT_TAGS
from .token_source import TokenPatch, TokenSource

# In transformer_options: what each block keeps for the backward pass.
KEPT = "anima_fast_train_kept"
READER = "anima_fast_train"  # among ComfyUI's wrappers
# A latent cell of all of them is so many pixels a side.
CELL_PIXELS = 8
# Vectors of a prompt, and how many of them are words.
PROMPT_LENGTH, WORDS = 512, 8


class ModelFamily(ABC):
    """One object stands for each family; a new one is listed in `families`.

    name: as context files name it; title: as sentences name it. The files are the official ones. Image
    sides are multiples of `size_multiple` pixels. to_one_length: how its prompts share a batch. scenery: the
    backgrounds it knows; subject_tags: its words for how a subject looks; guidance: with which it is usually sampled.
    reads_tokens: whether context tokens have a way in; own_attention: whether they can have an attention of their own.
    reader: a wrapper of ComfyUI's DIFFUSION_MODEL that lets the network read them, given `patch_name` before all that
    ComfyUI gives; None where a patch needs none. encodes_with_model: whether prompts go through a part of the model
    after the text encoder. without_layers: parts of its network, by name, that a prediction does not pass through, so
    that no adapter can learn there.
    """

    name: str
    title: str
    model_file: str
    clip_file: str
    vae_file: str
    size_multiple: int
    to_one_length: LengthRule
    scenery: Scenery
    guidance: float
    subject_tags: SubjectTags = SUBJECT_TAGS
    reads_tokens: bool = True
    own_attention: bool = False
    reader: Callable[..., Tensor] | None = None
    encodes_with_model: bool = False
    without_layers: tuple[str, ...] = ()
    patch_name: str = "anima_fast_train"  # under which its TokenPatch stands among ComfyUI's patches

    @abstractmethod
    def recognises(self, base: BaseModel) -> bool:
        """Whether a model of ComfyUI is of this family."""

    @abstractmethod
    def check(self, model: ModelPatcher) -> None:
        """Raises ValueError, one sentence, for a model of the family that cannot be trained, or not in this ComfyUI."""

    @abstractmethod
    def check_clip(self, clip: Any) -> None:
        """Raises ValueError, one sentence, where `clip` is not the family's text encoder."""

    @abstractmethod
    def check_vae(self, vae: Any) -> None:
        """Raises ValueError, one sentence, where `vae` does not make the latents that the family was trained on."""

    @abstractmethod
    def context_shape(self, base: BaseModel) -> tuple[int, int]:
        """(number of places that read tokens of their own, width of the conditioning)."""

    @abstractmethod
    def conditioning(
        self, base: BaseModel, encoded: Tensor, extras: Mapping[str, Any], device: torch.device
    ) -> Conditioning:
        """The Conditioning, float32, that the text encoder's output [1,L,D] and its `extras` make."""

    def framed(self, framing: Framing) -> Framing:
        """The same for pictures whose sides this family can take."""
        return replace(framing, multiple=self.size_multiple)

    def words_of(self, tokens: Mapping[str, Any]) -> tuple[int, int] | None:
        """Between which vectors the words of a tokenized text stand, where others than zeros stand around them."""
        return None

    def made_up_prompt(self, base: BaseModel, generator: torch.Generator) -> Conditioning:
        """Of a few words' length, for a step that is only to be timed."""
        vectors = torch.zeros(1, PROMPT_LENGTH, self.context_shape(base)[1])
        vectors[:, :WORDS] = torch.randn(WORDS, vectors.shape[-1], generator=generator)
        return Conditioning(vectors, to_one_length=self.to_one_length)

    def network(
        self, base: BaseModel, x: Tensor, timestep: Tensor, conditioning: Conditioning, options: dict[str, Any]
    ) -> Tensor:
        """The network's output for x [B,C,...], which it reads as it is, in its own dtype."""
        return base.diffusion_model(x, timestep, conditioning.vectors.to(x.dtype), transformer_options=options)

    def prepared(self, diffusion_model: nn.Module) -> AbstractContextManager[Any]:
        """Inside, the network has a backward pass and still gives what it gives in sampling."""
        return nullcontext()

    @abstractmethod
    def blocks(self, diffusion_model: Any) -> Sequence[nn.Module]:
        """Those that may be computed again in the backward pass."""

    @abstractmethod
    def activation_bytes(self, base: BaseModel, latents: Sequence[int]) -> int:
        """What the blocks keep for the backward pass of latents of this shape [B,C,...,h,w] where none is computed
        again."""

    def activations(self, base: BaseModel, latents: Sequence[int]) -> Activations | None:
        """What a step over latents of this shape keeps, where blocks can forget a part of it; they do so as `KEPT` in
        transformer_options says. None where a block keeps all or its input alone."""
        return None

    def token_patch(self, source: TokenSource) -> TokenPatch:
        """What stands among ComfyUI's patches so that the blocks read what the source gives."""
        return TokenPatch(source)

    def let_read(self, options: dict[str, Any], patch: TokenPatch) -> None:
        """Adds the patch to ComfyUI's transformer_options, and the reader, one for all patches."""
        options.setdefault("patches", {}).setdefault(self.patch_name, []).append(patch)
        if self.reader is not None:
            wrappers = options.setdefault("wrappers", {}).setdefault(WrappersMP.DIFFUSION_MODEL, {})
            # A partial can be compared with that of another model, as a function made here could not.
            wrappers[READER] = [partial(self.reader, self.patch_name)]
