"""How near what a context draws comes to its reference: samples under the training prompt, always of the same seeds."""

from __future__ import annotations

from torch import Tensor

from ...masking.pixels import tensor_of
from ..miniature.backbone import MiniatureBackbone, sample
from ..miniature.scene import SIDE, Scene
from ..trainables.context_file import ReferenceContext

SAMPLED_SEEDS = range(4)


def distance_of_samples(
    backbone: MiniatureBackbone, scene: Scene, context: ReferenceContext | None, cfg: float
) -> float:
    """Mean over the samples of `distance_to`; without a context, how far the model is by itself."""
    return distance_to(
        scene, sample(backbone, scene.prompt, SAMPLED_SEEDS, (SIDE, SIDE), context=context, guidance=cfg)
    )


def distance_to(scene: Scene, images: Tensor) -> float:
    """Mean squared difference of pictures [B,h,w,3] in 0..1 to the scene's, inside its mask."""
    target, weight = tensor_of(scene.picture), tensor_of(scene.mask)
    error = (images - target).square().mean(-1)
    return float((error * weight).mean() / weight.mean())
