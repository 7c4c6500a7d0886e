"""How the trainer's levels, 0 (image) to 1 (noise), and the sigmas of ComfyUI's samplers belong together in a model."""

from __future__ import annotations

import math
from typing import Any

import comfy.model_sampling as kinds
from torch import Tensor

from ...training.diffusion.parametrisation import Epsilon, NoiseTable, Parametrisation, RectifiedFlow, Velocity

# Of Cosmos, whose sampler counts noise in multiples of the image: level s is its sigma s / (1 - s).
MOST_NOISE = 1 - 1e-6


class ModelNoise:
    """Of a model's model_sampling, whatever node has changed it.

    Raises ValueError for a kind of prediction other than noise (EPS), v (V, with or without zero-terminal SNR) and
    rectified flow.
    """

    def __init__(self, sampling: Any) -> None:
        self._sampling = sampling
        self._table: NoiseTable | None = None
        self.parametrisation: Parametrisation = RectifiedFlow()
        if isinstance(sampling, (kinds.CONST, kinds.COSMOS_RFLOW)):
            return
        known = isinstance(sampling, kinds.EPS) and not isinstance(sampling, (kinds.EDM, kinds.X0))
        if not known or getattr(sampling, "sigma_data", 0.0) != 1.0:
            kind = next((each for each in type(sampling).__mro__ if "calculate_denoised" in vars(each)), type(sampling))
            raise ValueError(f"the model predicts {kind.__name__}, expected noise (EPS), v (V) or rectified flow")
        self._table = NoiseTable(sampling.sigmas)
        self.parametrisation = (Velocity if isinstance(sampling, kinds.V_PREDICTION) else Epsilon)(self._table)

    @property
    def level_shift(self) -> float:
        """By which samplers move their steps towards noise (Esser 2024)."""
        if isinstance(self._sampling, kinds.ModelSamplingFlux):
            return math.exp(self._sampling.shift)  # which ComfyUI keeps as its logarithm
        if isinstance(self._sampling, kinds.CONST):
            return float(getattr(self._sampling, "shift", 1.0))
        return 1.0

    def sigma(self, level: Tensor) -> Tensor:
        """The sampler's sigma at levels [B]."""
        if self._table is not None:
            return self._table.sigma(level)
        if isinstance(self._sampling, kinds.COSMOS_RFLOW):
            level = level.clamp(max=MOST_NOISE)
            return level / (1 - level)
        return level

    def level(self, sigma: float) -> float:
        """The level of a sampler's sigma."""
        if self._table is not None:
            return self._table.level(sigma)
        return sigma / (sigma + 1) if isinstance(self._sampling, kinds.COSMOS_RFLOW) else sigma

    def timestep(self, level: Tensor) -> Tensor:
        """What the network is told of the level, [B] float32."""
        return self._sampling.timestep(self.sigma(level)).float()
