"""Context tokens as the optimiser moves them: the first trainable (Textual Inversion, Gal 2022, arXiv 2208.01618)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ...masking.wording import quoted
from ..backbone import TokenBackbone
from ..conditioning import Conditioning
from ..diffusion.guidance import ForBothPrompts
from ..settings import TrainingSettings
from ..training_info import TrainingInfo
from .context_file import ReferenceContext, check_storable
from .context_tokens import ContextTokens
from .placed_tokens import PlacedTokens, told_apart
from .said_words import SaidWords
from .trainable import Kept


class TokenTrainable:
    """The tokens, their offsets by level where asked for, and the running average of both; float32 on one device.

    With settings.negative_tokens the last of them are for the negative prompt, and the backbone is to be guided.
    generator: a CPU generator for the values before the first step. start: [n,D] vectors that the prompt's tokens begin
    at, repeated until there are enough, or None to begin near zero. begin: a context that all of them begin at, with
    settings that `settings_to_continue` made for it. words: those that every block reads beside the prompt's tokens.
    unit: the root mean square of what counts as 1 in the leaves; with settings.token_norm "prompt" no token is longer
    than a vector of it. Raises ValueError where what is trained would be too large for a file.
    """

    def __init__(
        self,
        backbone: TokenBackbone,
        settings: TrainingSettings,
        generator: torch.Generator,
        device: torch.device,
        start: Tensor | None = None,
        unit: float = 1.0,
        begin: ReferenceContext | None = None,
        words: SaidWords | None = None,
    ) -> None:
        self._blocks, self._ema, self.unit = backbone.num_blocks, settings.ema, unit
        self._bounded = settings.token_norm == "prompt"
        self._positive, self._negative = settings.num_tokens, settings.negative_tokens
        apart = settings.token_attention == "own" and backbone.own_attention
        self._own = (self._positive, self._negative) if apart else (0, 0)
        self._words = words and replace(words, vectors=words.vectors.float().to(device))
        count = self._positive + self._negative
        more = 0 if words is None else len(words.vectors)
        check_storable(self._blocks, count + more, backbone.context_dim, settings.time_ranges)
        sets = self._blocks if settings.per_block else 1
        tokens = settings.init_std * torch.randn(sets, count, backbone.context_dim, generator=generator)
        if start is not None:
            rows = torch.arange(self._positive) % len(start)
            tokens[:, : self._positive] += start.float().cpu()[rows] / unit
        offsets = torch.zeros(sets, settings.time_ranges, count, backbone.context_dim)
        if begin is not None:
            tokens, offsets = (tensor[:sets] / unit for tensor in joined(begin, settings.time_ranges))
            self._own = begin.positive.own, 0 if begin.negative is None else begin.negative.own
        self.leaves = [tokens.to(device).requires_grad_()]
        if settings.time_ranges > 0:
            self.leaves.append(offsets.to(device).requires_grad_())
        self._earlier = {} if begin is None else begin.info.trainings()
        self._averages = [torch.zeros_like(leaf, requires_grad=False) for leaf in self.leaves]
        self._updates = 0

    def at(self, level: Tensor, kept: Kept | None = None) -> PlacedTokens | ForBothPrompts:
        tokens = (self._for_blocks(self._in_model_units()) if kept is None else ContextTokens.of(kept)).at(level)
        positive = told_apart(tokens[..., : self._positive, :], self._own[0])
        if self._words is not None:
            positive = positive.and_joined(self._words.vectors.expand(*tokens.shape[:-2], -1, -1))
        if self._negative == 0:
            return positive
        return ForBothPrompts(positive, told_apart(tokens[..., self._positive :, :], self._own[1]))

    def unlearned(self, level: Tensor) -> PlacedTokens | ForBothPrompts | None:
        if self._words is None:
            return None
        words = PlacedTokens(joined=self._words.vectors.expand(self._blocks, -1, -1))
        return words if self._negative == 0 else ForBothPrompts(words, None)

    @torch.no_grad()
    def after_step(self) -> None:
        if self._bounded:
            for leaf in self.leaves:
                shorten_to_unit(leaf)
        self._updates += 1
        for average, leaf in zip(self._averages, self.leaves, strict=True):
            average.lerp_(leaf.detach(), 1 - self._ema)

    @torch.no_grad()
    def kept(self) -> Kept:
        """The average corrected for its start at zero, or the tokens as they are; in the units of the model."""
        if self._ema == 0 or self._updates == 0:
            return self._for_blocks([self.unit * leaf.detach() for leaf in self.leaves]).tensors()
        correction = self.unit / (1 - self._ema**self._updates)
        return self._for_blocks([average * correction for average in self._averages]).tensors()

    @torch.no_grad()
    def reset_to(self, kept: Kept) -> None:
        for leaf, average, source in zip(self.leaves, self._averages, kept.values(), strict=True):
            leaf.copy_(source[: leaf.shape[0]] / self.unit)
            average.zero_()
        self._updates = 0

    def state(self) -> dict[str, Tensor]:
        named = {f"leaf.{n}": leaf.detach() for n, leaf in enumerate(self.leaves)}
        averages = {f"average.{n}": average for n, average in enumerate(self._averages)}
        return named | averages | {"updates": torch.tensor(self._updates)}

    @torch.no_grad()
    def load_state(self, tensors: dict[str, Tensor]) -> None:
        for number, (leaf, average) in enumerate(zip(self.leaves, self._averages, strict=True)):
            leaf.copy_(tensors[f"leaf.{number}"])
            average.copy_(tensors[f"average.{number}"])
        self._updates = int(tensors["updates"])

    def export(self, kept: Kept, info: TrainingInfo) -> ReferenceContext:
        tokens = ContextTokens.of({name: tensor.cpu() for name, tensor in kept.items()})
        positive = replace(tokens.part(slice(None, self._positive)), own=self._own[0])
        negative = replace(tokens.part(slice(self._positive, None)), own=self._own[1]) if self._negative else None
        info = replace(info, earlier=self._earlier)
        if self._words is not None:
            positive = positive.with_more(self._words.vectors.cpu())
            info = replace(info, word_tokens=len(self._words.vectors))
        return ReferenceContext(positive, negative, info)

    def _in_model_units(self) -> list[Tensor]:
        return self.leaves if self.unit == 1 else [self.unit * leaf for leaf in self.leaves]

    def _for_blocks(self, parts: Sequence[Tensor]) -> ContextTokens:
        tokens, *offsets = (part.expand(self._blocks, *part.shape[1:]) for part in parts)
        return ContextTokens(tokens, offsets[0] if offsets else None)


def settings_to_continue(begin: ReferenceContext, settings: TrainingSettings) -> TrainingSettings:
    """The settings with as many tokens and ranges of levels as the context has, read where it has them read, which a
    training that goes on from it keeps. Raises ValueError where they say to begin at words too."""
    if settings.init_text:
        raise ValueError(
            f"init_text is {quoted(settings.init_text, 60)} and a start_context came, expected one of them to begin at"
        )
    parts = [part for part in (begin.positive, begin.negative) if part is not None]
    timed = any(part.time_offsets is not None for part in parts)
    differ = any((tensor != tensor[:1]).any() for part in parts for tensor in part.tensors().values())
    return replace(
        settings,
        num_tokens=begin.positive.count,
        negative_tokens=0 if begin.negative is None else begin.negative.count,
        time_ranges=begin.ranges if timed else 0,
        token_attention="own" if begin.own_tokens else "shared",
        per_block=settings.per_block or differ,
    ).validate()


def joined(context: ReferenceContext, ranges: int) -> tuple[Tensor, Tensor]:
    """Tokens [blocks,K,D] of both prompts together, and their offsets [blocks,ranges,K,D]; float32 on the CPU."""
    parts = [part for part in (context.positive, context.negative) if part is not None]
    tokens = torch.cat([part.tokens for part in parts], dim=1).float().cpu()
    if ranges == 0:
        return tokens, tokens.new_zeros(len(tokens), 0, *tokens.shape[1:])
    timed = [part.with_ranges(ranges).time_offsets for part in parts]
    return tokens, torch.cat([offsets for offsets in timed if offsets is not None], dim=2).float().cpu()


@torch.no_grad()
def shorten_to_unit(vectors: Tensor) -> None:
    """In place: each of [...,D] that is longer than a vector of root mean square 1 is made that long."""
    length = vectors.square().mean(-1, keepdim=True).sqrt()
    vectors.div_(length.clamp_min(1.0))


def unit_of_prompts(conditionings: Sequence[Conditioning]) -> float:
    """The root mean square of an entry of the prompts' vectors, the median of all of them; the zeros that end prompts
    are left out. 1 where there is nothing else.

    That tokens be no longer than words are follows directional textual inversion, which learns directions alone.
    """
    vectors = torch.cat([conditioning.vectors.float().flatten(0, 1) for conditioning in conditionings])
    lengths = vectors.square().mean(-1).sqrt()
    used = lengths[lengths > 0]
    return float(used.median()) if len(used) else 1.0


def prompt_vectors(backbone: TokenBackbone, text: str, name: str = "init_text") -> Tensor:
    """The vectors [n,D] that the words of a text are encoded to. Raises ValueError, by the setting's name, where it has
    none."""
    conditioning = backbone.encode_prompt(text)
    vectors = conditioning.vectors[0, slice(*(conditioning.words or (None,)))]
    used = vectors[(vectors != 0).any(-1)]
    if len(used) == 0:
        raise ValueError(f"{name} is {text!r}, expected words that the model knows")
    return used
