"""Stable Diffusion's UNet at a small size, in plain torch, with the parameter names of ComfyUI's class.

Residual blocks that are told the time, and transformers with self-attention and cross-attention to the prompt (Rombach
2022, 2112.10752). Weights trained here load into ComfyUI's UNetModel and give the same output.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..miniature.architecture import attend, sinusoids
from ..trainables.padding_slots import before_zeros
from ..trainables.placed_tokens import PlacedTokens, Tokens, placed

_GROUPS = 32


@dataclass(frozen=True)
class UNetSize:
    """The sizes of the UNet; the names follow ComfyUI's keyword arguments.

    transformer_depth is that of each level; the middle has the last level's. Projections around transformers are linear
    layers, as in SDXL.
    """

    in_channels: int = 16
    model_channels: int = 64
    channel_mult: tuple[int, ...] = (1, 2)
    num_res_blocks: int = 1
    transformer_depth: tuple[int, ...] = (0, 1)
    num_head_channels: int = 32
    context_dim: int = 192


class _ResBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, time_dim: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(nn.GroupNorm(_GROUPS, inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, 1, 1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(time_dim, outputs))
        # ComfyUI's class has a dropout at place 2.
        self.out_layers = nn.Sequential(
            nn.GroupNorm(_GROUPS, outputs), nn.SiLU(), nn.Identity(), nn.Conv2d(outputs, outputs, 3, 1, 1)
        )
        self.skip_connection = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        h = self.in_layers(x) + self.emb_layers(time)[..., None, None]
        return self.skip_connection(x) + self.out_layers(h)


class _Attention(nn.Module):
    def __init__(self, query_dim: int, context_dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(query_dim, query_dim, bias=False)
        self.to_k = nn.Linear(context_dim, query_dim, bias=False)
        self.to_v = nn.Linear(context_dim, query_dim, bias=False)
        self.to_out = nn.Sequential(nn.Linear(query_dim, query_dim))

    def forward(self, x: Tensor, source: Tensor, own: Tensor | None = None) -> Tensor:
        """own: [B,n,D], to which there is an attention of its own, whose result is added."""
        q = self._heads(self.to_q(x))
        attended = attend(q, self._heads(self.to_k(source)), self._heads(self.to_v(source)))
        if own is not None:
            attended = attended + attend(q, self._heads(self.to_k(own)), self._heads(self.to_v(own)))
        return self.to_out(attended.transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class _GatedProjection(nn.Module):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.proj = nn.Linear(dim, 2 * hidden)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * functional.gelu(gate)


class _FeedForward(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.net = nn.Sequential(_GatedProjection(dim, 4 * dim), nn.Identity(), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class _TransformerBlock(nn.Module):
    def __init__(self, dim: int, context_dim: int, heads: int) -> None:
        super().__init__()
        self.attn1 = _Attention(dim, dim, heads)
        self.attn2 = _Attention(dim, context_dim, heads)
        self.ff = _FeedForward(dim)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(dim) for _ in range(3))

    def forward(self, x: Tensor, context: Tensor, own: Tensor | None) -> Tensor:
        normed = self.norm1(x)
        x = x + self.attn1(normed, normed)
        x = x + self.attn2(self.norm2(x), context, own)
        return x + self.ff(self.norm3(x))


class SpatialTransformer(nn.Module):
    """Transformer blocks over the places of a feature map; each reads a context of its own."""

    def __init__(self, channels: int, depth: int, size: UNetSize) -> None:
        super().__init__()
        heads = channels // size.num_head_channels
        self.norm = nn.GroupNorm(_GROUPS, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList(
            _TransformerBlock(channels, size.context_dim, heads) for _ in range(depth)
        )
        self.proj_out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, contexts: Sequence[tuple[Tensor, Tensor | None]]) -> Tensor:
        """x [B,C,h,w]; contexts: for each block what it reads [B,L,D], and what in an attention of its own."""
        places = self.proj_in(self.norm(x).flatten(2).transpose(1, 2))
        for block, (context, own) in zip(self.transformer_blocks, contexts, strict=True):
            places = block(places, context, own)
        return x + self.proj_out(places).transpose(1, 2).unflatten(2, x.shape[2:])


class _Downsample(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class _Upsample(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(functional.interpolate(x, scale_factor=2, mode="nearest"))


class SmallUNet(nn.Module):
    """Predicts the noise: (x_t of unit variance, timestep 0..999, context) -> same shape as x_t."""

    def __init__(self, size: UNetSize = UNetSize()) -> None:
        super().__init__()
        self.size = size
        width, time_dim = size.model_channels, 4 * size.model_channels
        self.time_embed = nn.Sequential(nn.Linear(width, time_dim), nn.SiLU(), nn.Linear(time_dim, time_dim))

        def stage(inputs: int, outputs: int, depth: int) -> list[nn.Module]:
            transformer = [SpatialTransformer(outputs, depth, size)] if depth else []
            return [_ResBlock(inputs, outputs, time_dim), *transformer]

        self.input_blocks = nn.ModuleList([nn.ModuleList([nn.Conv2d(size.in_channels, width, 3, 1, 1)])])
        channels, skipped = width, [width]
        levels = list(zip(size.channel_mult, size.transformer_depth, strict=True))
        for level, (multiple, depth) in enumerate(levels):
            for _ in range(size.num_res_blocks):
                self.input_blocks.append(nn.ModuleList(stage(channels, multiple * width, depth)))
                channels = multiple * width
                skipped.append(channels)
            if level < len(levels) - 1:
                self.input_blocks.append(nn.ModuleList([_Downsample(channels)]))
                skipped.append(channels)
        depth = levels[-1][1]
        self.middle_block = nn.ModuleList([*stage(channels, channels, depth), _ResBlock(channels, channels, time_dim)])
        self.output_blocks = nn.ModuleList()
        for level, (multiple, depth) in reversed(list(enumerate(levels))):
            for number in range(size.num_res_blocks + 1):
                layers = stage(channels + skipped.pop(), multiple * width, depth)
                channels = multiple * width
                if level and number == size.num_res_blocks:
                    layers.append(_Upsample(channels))
                self.output_blocks.append(nn.ModuleList(layers))
        self.out = nn.Sequential(
            nn.GroupNorm(_GROUPS, channels), nn.SiLU(), nn.Conv2d(channels, size.in_channels, 3, 1, 1)
        )

    @property
    def num_blocks(self) -> int:
        """How many transformer blocks read the prompt, in the order in which they do."""
        return sum(isinstance(module, _TransformerBlock) for module in self.modules())

    def initialise(self) -> None:
        """Weights for pretraining: zeros where a residual branch ends, as the original has them."""
        endings = [self.out[-1]]
        for module in self.modules():
            if isinstance(module, _ResBlock):
                endings.append(module.out_layers[-1])
            if isinstance(module, SpatialTransformer):
                endings.append(module.proj_out)
        for ending in endings:
            assert isinstance(ending.weight, Tensor)
            nn.init.zeros_(ending.weight)

    def forward(self, x: Tensor, timestep: Tensor, context: Tensor, tokens: Tokens | None = None) -> Tensor:
        """x [B,C,h,w] with sides that halve without a rest at each level; timestep [B]; context [B,L,D];
        tokens [blocks,K,D] or [B,blocks,K,D] follow each block's own context, or stand before L zeros where they have
        an attention of their own."""
        time = self.time_embed(sinusoids(timestep, self.size.model_channels).to(x.dtype))
        beside = placed(tokens)
        contexts = iter([_read(context, beside.of_block(index)) for index in range(self.num_blocks)])

        def through(layers: Iterable[nn.Module], h: Tensor) -> Tensor:
            for layer in layers:
                if isinstance(layer, SpatialTransformer):
                    h = layer(h, [next(contexts) for _ in layer.transformer_blocks])
                else:
                    h = layer(h, time) if isinstance(layer, _ResBlock) else layer(h)
            return h

        skipped = []
        h = x
        for layers in self.input_blocks:
            h = through(layers.children(), h)
            skipped.append(h)
        h = through(self.middle_block.children(), h)
        for layers in self.output_blocks:
            h = through(layers.children(), torch.cat((h, skipped.pop()), dim=1))
        return self.out(h)


def _read(context: Tensor, tokens: PlacedTokens) -> tuple[Tensor, Tensor | None]:
    """What a block reads: the prompt with its tokens after it, since no slot of a UNet's prompt is neutral, and what
    stands apart."""
    own = None if tokens.own is None else before_zeros(tokens.own, context)
    if tokens.joined is None:
        return context, own
    return torch.cat((context, tokens.joined.expand(len(context), -1, -1)), dim=1), own
