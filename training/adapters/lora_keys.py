"""The names of a LoRA's tensors in files: those of sd-scripts, which every tool reads, and those of peft.

sd-scripts   lora_unet_blocks_0_mlp_layer1.lora_down.weight, .lora_up.weight, .alpha; .hada_w1_a ..., .lokr_w1 ...
peft         diffusion_model.blocks.0.mlp.layer1.lora_A.weight, .lora_B.weight, into which alpha is multiplied
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

SD_SCRIPTS, PEFT = "lora_unet_", "diffusion_model."
PEFT_NAMES = {"lora_down.weight": "lora_A.weight", "lora_up.weight": "lora_B.weight"}
ALPHA = "alpha"

ByLayer = Mapping[str, Mapping[str, Tensor]]


def in_sd_scripts_layout(factors: ByLayer, alpha: float) -> dict[str, Tensor]:
    """By their names in a file, each with memory of its own."""
    named: dict[str, Tensor] = {}
    for layer, each in factors.items():
        named |= {sd_scripts_key(layer, name): factor.clone() for name, factor in each.items()}
        named[sd_scripts_key(layer, ALPHA)] = torch.tensor(alpha)
    return named


def in_peft_layout(factors: ByLayer, strength: float) -> dict[str, Tensor]:
    """The same. Raises ValueError for a kind for which the layout has no names."""
    unknown = {name for each in factors.values() for name in each} - PEFT_NAMES.keys()
    if unknown:
        raise ValueError(f"lora_layout is 'peft', which has no name for {min(unknown)}, expected 'sd-scripts'")
    scales = {"lora_down.weight": 1.0, "lora_up.weight": strength}
    return {
        peft_key(layer, name): scales[name] * factor for layer, each in factors.items() for name, factor in each.items()
    }


def sd_scripts_key(layer: str, name: str) -> str:
    return f"{SD_SCRIPTS}{layer.replace('.', '_')}.{name}"


def peft_key(layer: str, name: str) -> str:
    return f"{PEFT}{layer}.{PEFT_NAMES.get(name, name)}"
