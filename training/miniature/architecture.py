"""Anima's transformer at a small size, in plain torch, with the parameter names of ComfyUI's class.

The blocks follow MiniTrainDIT of Cosmos-Predict2: patches of two latents, 3D rotary positions in self-attention, AdaLN
with a low-rank modulation shared through the time embedding, RMS-normed queries and keys, an extra input channel for
the padding mask. Weights trained here load into ComfyUI's MiniTrainDIT and give the same output.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..trainables.padding_slots import before_zeros, free_slots, insert_tokens
from ..trainables.placed_tokens import Tokens, placed

WRITTEN_OUT_KEYS = 256


@dataclass(frozen=True)
class TransformerSize:
    """The sizes of the transformer; the names follow ComfyUI's keyword arguments."""

    in_channels: int = 16
    model_channels: int = 256
    num_blocks: int = 6
    num_heads: int = 8
    mlp_ratio: float = 4.0
    crossattn_emb_channels: int = 192
    adaln_lora_dim: int = 32


class _Attention(nn.Module):
    def __init__(self, query_dim: int, context_dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(query_dim, query_dim, bias=False)
        self.k_proj = nn.Linear(context_dim, query_dim, bias=False)
        self.v_proj = nn.Linear(context_dim, query_dim, bias=False)
        self.output_proj = nn.Linear(query_dim, query_dim, bias=False)
        self.q_norm = nn.RMSNorm(query_dim // heads, eps=1e-6)
        self.k_norm = nn.RMSNorm(query_dim // heads, eps=1e-6)

    def forward(self, x: Tensor, source: Tensor, rotation: Tensor | None, own: Tensor | None = None) -> Tensor:
        """own: [B,n,D], to which there is an attention of its own, whose result is added."""
        q = self.q_norm(self.q_proj(x).unflatten(-1, (self.heads, -1))).transpose(1, 2)
        k, v = self._keys_and_values(source)
        if rotation is not None:
            q, k = rotate(q, rotation), rotate(k, rotation)
        attended = attend(q, k, v)
        if own is not None:
            attended = attended + attend(q, *self._keys_and_values(own))
        return self.output_proj(attended.transpose(1, 2).flatten(2))

    def _keys_and_values(self, source: Tensor) -> tuple[Tensor, Tensor]:
        k = self.k_norm(self.k_proj(source).unflatten(-1, (self.heads, -1))).transpose(1, 2)
        return k, self.v_proj(source).unflatten(-1, (self.heads, -1)).transpose(1, 2)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Scaled dot-product attention, [B,heads,L,d] each.

    Written out for few keys, because the backward pass of torch's fused attention on a CPU took half of a training step
    on sequences as short as the miniature's (1.4 s of 2.8 s, torch 2.13, two cores).
    """
    if k.shape[2] > WRITTEN_OUT_KEYS:
        return functional.scaled_dot_product_attention(q, k, v)
    weights = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    return weights.softmax(-1) @ v


def rotate(x: Tensor, rotation: Tensor) -> Tensor:
    """Rotary position embedding in the split-half layout: x [B,heads,L,d], rotation [L,d/2,2] of cosines and sines."""
    first, second = x.chunk(2, dim=-1)
    cosine, sine = rotation.to(x.dtype).unbind(-1)
    return torch.cat((first * cosine - second * sine, first * sine + second * cosine), dim=-1)


def rotary_positions(time: int, height: int, width: int, head_dim: int, device: torch.device) -> Tensor:
    """Cosines and sines [time*height*width, head_dim/2, 2]: a third of the head for each axis, time first."""
    spatial = head_dim // 6 * 2
    temporal = head_dim - 2 * spatial

    def angles(length: int, dim: int) -> Tensor:
        frequency = 10000.0 ** -(torch.arange(0, dim, 2, device=device)[: dim // 2].float() / dim)
        return torch.outer(torch.arange(length, device=device).float(), frequency)

    grid = torch.cat(
        (
            angles(time, temporal)[:, None, None].expand(time, height, width, -1),
            angles(height, spatial)[None, :, None].expand(time, height, width, -1),
            angles(width, spatial)[None, None].expand(time, height, width, -1),
        ),
        dim=-1,
    ).flatten(0, 2)
    return torch.stack((grid.cos(), grid.sin()), dim=-1)


class _FeedForward(nn.Module):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.layer1 = nn.Linear(dim, hidden, bias=False)
        self.layer2 = nn.Linear(hidden, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer2(functional.gelu(self.layer1(x)))


def _modulation(dim: int, rank: int, chunks: int) -> nn.Sequential:
    return nn.Sequential(nn.SiLU(), nn.Linear(dim, rank, bias=False), nn.Linear(rank, chunks * dim, bias=False))


class _Block(nn.Module):
    def __init__(self, size: TransformerSize) -> None:
        super().__init__()
        dim = size.model_channels
        self.self_attn = _Attention(dim, dim, size.num_heads)
        self.cross_attn = _Attention(dim, size.crossattn_emb_channels, size.num_heads)
        self.mlp = _FeedForward(dim, int(dim * size.mlp_ratio))
        self.adaln_modulation_self_attn = _modulation(dim, size.adaln_lora_dim, 3)
        self.adaln_modulation_cross_attn = _modulation(dim, size.adaln_lora_dim, 3)
        self.adaln_modulation_mlp = _modulation(dim, size.adaln_lora_dim, 3)

    def forward(
        self, x: Tensor, time: Tensor, shared: Tensor, context: Tensor, rotation: Tensor, own: Tensor | None = None
    ) -> Tensor:
        def normed(modulation: nn.Module) -> tuple[Tensor, Tensor]:
            shift, scale, gate = (modulation(time) + shared).chunk(3, dim=-1)
            return functional.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift, gate

        h, gate = normed(self.adaln_modulation_self_attn)
        x = x + gate * self.self_attn(h, h, rotation)
        h, gate = normed(self.adaln_modulation_cross_attn)
        x = x + gate * self.cross_attn(h, context, None, own)
        h, gate = normed(self.adaln_modulation_mlp)
        return x + gate * self.mlp(h)


class _TimeEmbedding(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(dim, dim, bias=False)
        self.linear_2 = nn.Linear(dim, 3 * dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear_2(functional.silu(self.linear_1(x)))


class _FinalLayer(nn.Module):
    def __init__(self, size: TransformerSize) -> None:
        super().__init__()
        dim = size.model_channels
        self.linear = nn.Linear(dim, 4 * size.in_channels, bias=False)
        self.adaln_modulation = _modulation(dim, size.adaln_lora_dim, 2)

    def forward(self, x: Tensor, time: Tensor, shared: Tensor) -> Tensor:
        modulation = self.adaln_modulation(time) + shared[..., : 2 * x.shape[-1]]
        shift, scale = modulation.chunk(2, dim=-1)
        return self.linear(functional.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift)


class _PatchEmbedding(nn.Module):
    def __init__(self, size: TransformerSize) -> None:
        super().__init__()
        self.proj = nn.Sequential(nn.Identity(), nn.Linear(4 * (size.in_channels + 1), size.model_channels, bias=False))

    def forward(self, patches: Tensor) -> Tensor:
        return self.proj(patches)


class MiniatureTransformer(nn.Module):
    """Predicts velocity: (x_t, timestep, context) -> same shape as x_t."""

    def __init__(self, size: TransformerSize = TransformerSize()) -> None:
        super().__init__()
        self.size = size
        dim = size.model_channels
        self.x_embedder = _PatchEmbedding(size)
        self.t_embedder = nn.ModuleList((nn.Identity(), _TimeEmbedding(dim)))
        self.t_embedding_norm = nn.RMSNorm(dim, eps=1e-6)
        self.blocks = nn.ModuleList(_Block(size) for _ in range(size.num_blocks))
        self.final_layer = _FinalLayer(size)

    def initialise(self) -> None:
        """Weights for pretraining: small normal, and zeros where a block's gate opens (AdaLN-Zero, Peebles 2022)."""
        for name, parameter in self.named_parameters():
            if parameter.ndim < 2:
                continue
            if name.endswith("linear_2.weight") or "modulation" in name and name.endswith(".2.weight"):
                nn.init.zeros_(parameter)
            elif name == "final_layer.linear.weight":
                nn.init.zeros_(parameter)
            else:
                nn.init.xavier_uniform_(parameter)

    def forward(self, x: Tensor, timestep: Tensor, context: Tensor, tokens: Tokens | None = None) -> Tensor:
        """x [B,C,h,w] or [B,C,1,h,w] with even h and w; timestep [B]; context [B,L,D], zero padded;
        tokens [blocks,K,D] or [B,blocks,K,D] take padding slots of each block's own context, or stand before L zeros
        where they have an attention of their own."""
        h, time, shared, rows, columns = self.embedded(x, timestep)
        rotation = rotary_positions(1, rows, columns, self.size.model_channels // self.size.num_heads, x.device)
        beside = placed(tokens)
        free = None if beside.joined is None else free_slots(context)
        for index, block in enumerate(self.blocks):
            own, joined = beside.of_block(index).both
            seen = context if joined is None else insert_tokens(context, joined, free=free)
            h = block(h, time, shared, seen, rotation, None if own is None else before_zeros(own, context))
        return self.unpatched(h, time, shared, x.shape)

    def embedded(self, x: Tensor, timestep: Tensor) -> tuple[Tensor, Tensor, Tensor, int, int]:
        """What the blocks are given: patches [B,rows*columns,D], time [B,1,D], shared [B,1,3D]; and rows, columns."""
        image = x.squeeze(2) if x.ndim == 5 else x
        rows, columns = image.shape[-2] // 2, image.shape[-1] // 2
        patches = torch.cat((image, torch.zeros_like(image[:, :1])), dim=1)
        patches = patches.unflatten(3, (columns, 2)).unflatten(2, (rows, 2)).permute(0, 2, 4, 1, 3, 5)
        h = self.x_embedder(patches.reshape(len(image), rows * columns, -1))
        embedded = sinusoids(timestep, self.size.model_channels).to(h.dtype)[:, None]
        return h, self.t_embedding_norm(embedded), self.t_embedder[1](embedded), rows, columns

    def unpatched(self, h: Tensor, time: Tensor, shared: Tensor, shape: torch.Size) -> Tensor:
        """The prediction, in the shape of x."""
        batch, channels, height, width = shape[0], shape[1], shape[-2], shape[-1]
        out = self.final_layer(h, time, shared).view(batch, height // 2, width // 2, 2, 2, channels)
        return out.permute(0, 5, 1, 3, 2, 4).reshape(shape)


def sinusoids(timestep: Tensor, dim: int) -> Tensor:
    """[B] -> [B,dim]: cosines, then sines, of frequencies from 1 down to 1/10000."""
    frequency = torch.exp(-math.log(10000) * torch.arange(dim // 2, device=timestep.device).float() / (dim // 2))
    angle = timestep.float()[:, None] * frequency
    return torch.cat((angle.cos(), angle.sin()), dim=-1)
