"""Sends ComfyUI's own blocks of Anima down the fast path of training, for as long as training runs.

The classes stay as they are: each block of the one model at hand gets a forward of its own, which reads the block's
submodules. Whether that gives what ComfyUI's forward gives is asked of the first block before it is relied on, and
a model with patches in its blocks takes ComfyUI's forwards.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import comfy.ops
import comfy.quant_ops
import torch
from torch import Tensor, nn

from ...training.conditioning import Conditioning
from ...training.fast_path.block import Kept, Pass, Rotate, through_block
from ...training.fast_path.memory_plan import Activations
from ...training.fast_path.prompt_rows import PromptRows, prompt_rows
from ...training.fast_path.rotary import normed_and_rotated
from ...training.trainables.placed_tokens import PlacedTokens
from ..models.family import KEPT
from ..models.token_source import TokenPatch
from .insertion import joined
from .recompute import own_forwards, recomputed

PROMPT = "anima_fast_train_prompt"  # in transformer_options: PromptRows
LARGEST_DIFFERENCE = {torch.float32: 1e-4}  # of the norm, between the fast path and ComfyUI's forward
LARGEST_DIFFERENCE_OF_HALVES = 0.03


class FastBlocks:
    """The blocks of one network while it trains."""

    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        self._blocks = blocks
        self.agrees: bool | None = None  # with ComfyUI's forward; None before the first pass

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside, forward passes whose transformer_options have PROMPT take the fast path where it fits."""
        with own_forwards(self._blocks, self._forward_of):
            yield

    def _forward_of(self, block: nn.Module) -> Callable[..., Tensor]:
        own, again = block.forward, recomputed(block)

        def forward(x: Tensor, time: Tensor, context: Tensor, **more: Any) -> Tensor:
            options = more["transformer_options"]
            index = options.get("block_index", 0)
            kept = options[KEPT][index] if KEPT in options else Kept.ALL
            if PROMPT in options and x.shape[1] == 1 and self._trusted(block, own, x, time, context, more):
                tokens = _tokens(options, x, context)
                if tokens is not None:
                    return _fast(block, x, time, tokens, kept, more)
            return (again if kept > Kept.NO_ROTATED else own)(x, time, context, **more)

        return forward

    @torch.no_grad()
    def _trusted(self, block: nn.Module, own: Callable, x: Tensor, time: Tensor, context: Tensor, more: dict) -> bool:
        if self.agrees is None:
            options = {name: value for name, value in more["transformer_options"].items() if name != "patches"}
            more = {**more, "transformer_options": options}
            expected = own(x, time, context, **more).float()
            got = _fast(block, x, time, PlacedTokens(), Kept.ALL, more).float()
            difference = float((got - expected).norm() / expected.norm().clamp_min(1e-12))
            self.agrees = difference <= LARGEST_DIFFERENCE.get(time.dtype, LARGEST_DIFFERENCE_OF_HALVES)
            if not self.agrees:
                logging.warning(
                    "AnimaFastTrain: the fast path differs from this ComfyUI's model by %.2g, so training takes the "
                    "slower one",
                    difference,
                )
        return self.agrees


def activations(network: Any, latents: Sequence[int], dtype: torch.dtype) -> Activations:
    """What a step over latents of this shape [B,C,...,h,w] keeps; ComfyUI runs the residual stream of float16 in
    float32."""
    size = 4 if dtype == torch.float16 else dtype.itemsize
    positions = latents[0] * latents[-2] * latents[-1] // 4
    blocks, width = network.blocks, network.model_channels
    return Activations(len(blocks), width, blocks[0].self_attn.n_heads, positions, dtype.itemsize, size)


def prompt_option(conditioning: Conditioning, dtype: torch.dtype) -> dict[str, PromptRows]:
    """For the transformer_options of a pass that may take the fast path."""
    return {PROMPT: prompt_rows(conditioning.vectors.to(dtype), conditioning.used_length())}


def _tokens(options: dict, x: Tensor, context: Tensor) -> PlacedTokens | None:
    """Tokens [K,D] or [B,K,D]; None where not all patches of the blocks are tokens for all rows."""
    patches = options.get("patches", {})
    readers = patches.get("attn2_patch", [])
    others = any(entries for name, entries in patches.items() if name != "attn2_patch") or options.get(
        "patches_replace"
    )
    if others or not all(isinstance(reader, TokenPatch) for reader in readers):
        return None
    sets = [one for reader in readers for one in reader.source.sets(options["block_index"], len(x), context, options)]
    if not all(all(one.rows) for one in sets):
        return None
    own, beside = ([one.tokens for one in sets if one.own == apart] for apart in (True, False))
    return PlacedTokens(*(joined(each, len(x)) if each else None for each in (own, beside)))


def _fast(block: nn.Module, x: Tensor, time: Tensor, tokens: PlacedTokens, kept: Kept, more: dict) -> Tensor:
    rotate, prompt = rotation(more["rope_emb_L_1_1_D"]), more["transformer_options"][PROMPT]
    shared = Pass(time, more["adaln_lora_B_T_3D"], prompt, rotate, comfy.ops.scaled_dot_product_attention)
    return through_block(block, x.flatten(1, 3), tokens, shared, kept).view_as(x)


def rotation(table: Tensor) -> Rotate:
    """table: [1,L,1,d/2,2,2], as ComfyUI makes it."""
    cosine, sine = table[0, :, 0, :, 0, 0], table[0, :, 0, :, 1, 0]

    def on_cpu(attention: Any, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        rotated = [
            normed_and_rotated(part, cosine, sine, scale, attention.q_norm.eps)
            for part, scale in zip((q, k), _scales(attention, q), strict=True)
        ]
        return rotated[0], rotated[1]

    def fused(attention: Any, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        return comfy.quant_ops.ck.rms_rope_split_half(q, k, table, *_scales(attention, q), attention.q_norm.eps)

    return on_cpu if table.device.type == "cpu" else fused


def _scales(attention: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    scales = []
    for norm in (attention.q_norm, attention.k_norm):
        scale, _, stream = comfy.ops.cast_bias_weight(norm, like, offloadable=True)
        comfy.ops.uncast_bias_weight(norm, scale, None, stream)
        scales.append(scale)
    return scales[0], scales[1]
