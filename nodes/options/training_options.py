"""What the Training Options node hands to the training nodes; without it they use the defaults below."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...masking.framing import Framing
from ...masking.latent import Reduction
from ...masking.sources import MaskSource
from ...training.references.augmentation import Augmentation
from ...training.settings import TrainingSettings
from ..anima.backbone import Precision
from ..anima.recompute import Checkpointing
from ..folders.checkpoints import CheckpointOptions
from ..live.previews import PreviewOptions


@dataclass(frozen=True)
class TrainingOptions:
    """`settings` and `framing` carry what is not a widget of the training nodes themselves."""

    settings: TrainingSettings = TrainingSettings()
    framing: Framing = Framing()
    mask_source: MaskSource = "mask"
    mask_reduction: Reduction = "area"
    checkpointing: Checkpointing = "auto"
    precision: Precision = "auto"
    augmentation: Augmentation = Augmentation()
    checkpoints: CheckpointOptions = CheckpointOptions()
    previews: PreviewOptions = PreviewOptions()

    def training_settings(
        self, train_steps: int, learning_rate: str, num_tokens: int, init_std: float, seed: int
    ) -> TrainingSettings:
        """The settings of one run. Raises ValueError where they make no sense."""
        return replace(
            self.settings,
            steps=train_steps,
            learning_rate=learning_rate,
            num_tokens=num_tokens,
            init_std=init_std,
            seed=seed,
        ).validate()

    def framing_at(self, training_image_size: int) -> Framing:
        return replace(self.framing, size=training_image_size)

    def augmentation_of(self, training_prompt: str) -> Augmentation:
        """With the prompt of the training node as the templates of all captions."""
        return replace(self.augmentation, captions=replace(self.augmentation.captions, templates=training_prompt))
