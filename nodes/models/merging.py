"""What a LoRA loses where it is merged into a model's weights, as Load LoRA does: they are rounded to their own
precision, and a small change is lost in that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import comfy.float
import comfy.utils
import torch
from torch import Tensor, nn
from torch.nn import functional

from ...training.adapters.acting import Forward
from ...training.adapters.kinds import CONVOLVE
from ...training.adapters.layers import adaptable_modules
from ...training.adapters.low_rank import plus
from ...training.adapters.plan import Adapters
from ...training.references.encode import EncodedReference
from ...training.result import TrainingResult
from .backbone import ModelBackbone

LEVEL = 0.5
SEED = 0
# What nobody sees, and what is worth another loader.
NOTHING, LITTLE = 1e-4, 0.02
BYPASS = "Load LoRA (Bypass) or Load LoRA Model with bypass on"


class MergedAdapters:
    """Acts as adapters do once ComfyUI has merged them: by the difference of the rounded weights. No weight is
    touched."""

    def __init__(self, adapters: Adapters) -> None:
        self._adapters = adapters

    def forward(self, name: str, layer: nn.Module, own_forward: Forward, x: Tensor) -> Tensor:
        """See `acting.Acting`."""
        factors = self._adapters.of_layer(name)
        weight = layer.weight
        if factors is None or not isinstance(weight, Tensor):
            return own_forward(x)
        before = weight.dequantize().float()
        exact = {each: factor.float() for each, factor in factors.items()}
        change = self._adapters.plan.kind.weight(exact).view_as(before)
        difference = (rounded(before + change, layer, name) - before).to(x.dtype)
        if difference.ndim == 2:
            moved = functional.linear(x, difference)
        else:
            convolve = CONVOLVE[difference.ndim - 2]
            moved = convolve(x, difference, None, layer.stride, layer.padding, layer.dilation)  # type: ignore[call-overload]
        return plus(own_forward(x), moved)


def rounded(weight: Tensor, layer: nn.Module, name: str) -> Tensor:
    """float32 of the precision that the layer keeps its weight in, rounded as ComfyUI does."""
    seed = comfy.utils.string_to_seed(f"diffusion_model.{name}.weight")
    requantised: Any = getattr(layer, "set_weight", None)
    if requantised is not None:  # quantised layers scale what they keep
        return requantised(weight, seed=seed, return_weight=True).dequantize().float()
    assert isinstance(layer.weight, Tensor)
    return comfy.float.stochastic_rounding(weight, layer.weight.dtype, seed=seed).float()


@torch.no_grad()
def share_lost(backbone: ModelBackbone, reference: EncodedReference, adapters: Adapters) -> float:
    """How far merging moves the prediction from that of the adapters, over how far they move it from the model's.

    At one place, for the reference: three forward passes.
    """
    latent = reference.latent
    device = latent.device
    noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(SEED)).to(device)
    level = torch.tensor([LEVEL], device=device)
    x_t = backbone.add_noise(latent, noise, level)
    plain = backbone.predict(x_t, level, reference.conditioning)
    trained = backbone.predict(x_t, level, reference.conditioning, adapters)
    whole = MergedAdapters(adapters.to(device, torch.float32))
    merged = backbone.predict(x_t, level, reference.conditioning, whole)
    moved = float((trained - plain).norm())
    return float((merged - trained).norm()) / moved if moved > 0 else 0.0


def remarks_on_merging(
    backbone: ModelBackbone, references: Sequence[EncodedReference], result: TrainingResult
) -> tuple[str, ...]:
    """What an artist should know of loading the LoRA that was trained, one sentence."""
    adapters = result.trained.at_level(LEVEL)
    precision = weight_precision(backbone, adapters)
    lost = share_lost(backbone, references[0], adapters)
    if lost < NOTHING:
        return (f"merged into weights of {precision}, as Load LoRA does, it loses nothing",)
    said = f"merged into weights of {precision}, as Load LoRA does, it loses {lost:.1%} of what it does"
    advice = f"; {BYPASS} loses nothing" if lost > LITTLE else f", which {BYPASS} would keep"
    return (said + advice,)


def weight_precision(backbone: ModelBackbone, adapters: Adapters) -> str:
    """Of most of the layers that the adapters act in, such as bfloat16."""
    network = backbone.model.model.diffusion_model
    kept = Counter(
        str(getattr(module, "quant_format", None) or getattr(module.weight, "dtype", "")).removeprefix("torch.")
        for name, module in adaptable_modules(network)
        if name in adapters.plan.layers
    )
    return kept.most_common(1)[0][0]
