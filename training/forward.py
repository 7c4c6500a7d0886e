"""One forward pass of training: from a batch to the prediction and the two losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from .backbone import Backbone
from .batches.batch import Batch
from .loss import masked_diffusion_loss, prior_preservation_loss
from .loss_settings import LossSettings
from .trainables.trainable import Trainable


class Forward(NamedTuple):
    """x_t and prediction [B,C,...]; the masked loss and the unweighted prior preservation loss, means over the rows."""

    x_t: Tensor
    prediction: Tensor
    masked: Tensor
    preserved: Tensor


class ForwardPass:
    """prior_weight: how often the prior preservation loss counts, balanced by the run's own errors where asked for."""

    def __init__(self, model: Backbone, trainable: Trainable, settings: LossSettings, prior_weight: float) -> None:
        self._model, self._trainable, self._settings = model, trainable, settings
        self.prior_weight = prior_weight

    def __call__(self, batch: Batch) -> Forward:
        x_t = self._model.add_noise(batch.x0, batch.noise, batch.level)
        prediction = self._model.predict(x_t, batch.level, batch.conditioning, self._trainable.at(batch.level))
        unmasked_weight = self._settings.unmasked_weight
        masked = masked_diffusion_loss(
            prediction,
            self._model.target(batch.x0, batch.noise, batch.level),
            batch.latent_mask,
            unmasked_weight=unmasked_weight,
            normalize_area=self._settings.normalize_area,
            emphasis=batch.emphasis,
        ).mean()
        if batch.base is None:
            return Forward(x_t, prediction, masked, masked.new_zeros(()))
        preserved = prior_preservation_loss(prediction, batch.base, batch.latent_mask, unmasked_weight=unmasked_weight)
        return Forward(x_t, prediction, masked, preserved.mean())

    def loss(self, forward: Forward) -> Tensor:
        """What is minimised."""
        return forward.masked + self.prior_weight * forward.preserved

    def add_gradients(self, batches: Sequence[Batch]) -> float:
        """Backward through the mean loss of the batches; returns it."""
        total = 0.0
        for batch in batches:
            loss = self.loss(self(batch)) / len(batches)
            loss.backward()
            total += float(loss.detach())
        return total
