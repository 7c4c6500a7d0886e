"""What a UNet keeps for the backward pass, from the sizes of its blocks and the resolutions that they work at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from comfy.ldm.modules.attention import BasicTransformerBlock
from comfy.ldm.modules.diffusionmodules.openaimodel import Downsample, ResBlock, Upsample
from torch import nn

# Kept by a block for the backward pass, in tensors of the size of what it works on.
TENSORS_PER_TRANSFORMER, TENSORS_PER_RESIDUAL = 24, 7


def sized_blocks(unet: Any) -> Iterator[tuple[nn.Module, int, int]]:
    """Each block that takes part, its channels, and how many latent cells a side one of its positions covers."""
    cells = 1
    middle = [] if unet.middle_block is None else [unet.middle_block]
    for modules in (unet.input_blocks, middle, unet.output_blocks):
        for module in modules:
            for layer in module:
                if isinstance(layer, Downsample):
                    cells *= 2
                for block in layer.modules():
                    if isinstance(block, BasicTransformerBlock):
                        yield block, block.norm1.normalized_shape[0], cells
                    elif isinstance(block, ResBlock):
                        yield block, max(block.channels, block.out_channels), cells
                if isinstance(layer, Upsample):
                    cells //= 2


def activation_bytes(unet: Any, rows: int, height: int, width: int, itemsize: int) -> int:
    """For latents of height x width cells, where no block is computed again."""
    total = 0
    for block, channels, cells in sized_blocks(unet):
        tensors = TENSORS_PER_RESIDUAL if isinstance(block, ResBlock) else TENSORS_PER_TRANSFORMER
        total += tensors * channels * rows * -(-height // cells) * -(-width // cells) * itemsize
    return total
