"""How near what a context draws comes to its reference: samples under the training prompt, always of the same seeds."""

from __future__ import annotations

import numpy
import torch
from torch import Tensor

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
    target = torch.from_numpy(numpy.array(scene.picture)).float() / 255
    weight = torch.from_numpy(numpy.array(scene.mask)).float() / 255
    error = (images - target).square().mean(-1)
    return float((error * weight).mean() / weight.mean())
