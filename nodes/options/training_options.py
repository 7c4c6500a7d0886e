"""What the Training Options node hands to the training nodes; without it they use the defaults below."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from ...declared import check, values_of
from ...masking.framing import Framing
from ...training.adapters.trained_lora import TrainedLora
from ...training.aims import AimOptions
from ...training.references.augmentation import Augmentation, ImageAugmentation
from ...training.references.caption import CaptionOptions
from ...training.run_options import RecentSettings, RunOptions
from ...training.settings import TrainingSettings
from ...training.trainables.context_file import ReferenceContext
from ..folders.checkpoints import CheckpointOptions
from ..live.previews import PreviewOptions
from ..models.backbone import copy_outside_inference


@dataclass(frozen=True)
class TrainingOptions(RunOptions):
    """`settings` and `framing` carry what is not a widget of the training nodes themselves; `begin` is what training
    goes on from."""

    settings: TrainingSettings = TrainingSettings()
    framing: Framing = Framing()
    augmentation: Augmentation = Augmentation()
    checkpoints: CheckpointOptions = CheckpointOptions()
    previews: PreviewOptions = PreviewOptions()
    recent: RecentSettings = RecentSettings()
    begin: ReferenceContext | TrainedLora | None = None

    def __post_init__(self) -> None:
        check(self, "node")

    @classmethod
    def of_inputs(cls, given: Mapping[str, Any], background_images: Tensor | None) -> TrainingOptions:
        """What the inputs of a node say, read by what each group declares. Raises ValueError where they make no
        sense."""
        images = () if background_images is None else tuple(copy_outside_inference(background_images)[..., :3])
        captions = CaptionOptions("", **values_of(CaptionOptions, given, "node"))
        pictures = ImageAugmentation(**values_of(ImageAugmentation, given, "node"), background_images=images)
        return cls(
            **values_of(RunOptions, given, "node"),
            settings=TrainingSettings(**values_of(TrainingSettings, given, "node")).validate(),
            framing=Framing(**values_of(Framing, given, "node")),
            augmentation=Augmentation(captions, pictures),
            checkpoints=CheckpointOptions(**values_of(CheckpointOptions, given, "node")),
            previews=PreviewOptions(**values_of(PreviewOptions, given, "node")),
            recent=RecentSettings(**values_of(RecentSettings, given, "node")),
        )

    def training_settings(self, given: Mapping[str, Any]) -> TrainingSettings:
        """The settings of one run, with those of `given` that are inputs of the training node. Raises ValueError where
        they make no sense."""
        settings = replace(self.settings, **values_of(TrainingSettings, given, "node")).validate()
        return aim_of(given).settings(settings)

    def framing_of(self, given: Mapping[str, Any]) -> Framing:
        """With the training size among `given`."""
        return replace(self.framing, **values_of(Framing, given, "node"))

    def augmentation_of(self, training_prompt: str, given: Mapping[str, Any]) -> Augmentation:
        """With the prompt of the training node as the templates of all captions, and what its aim leaves."""
        captions = replace(self.augmentation.captions, templates=training_prompt)
        return Augmentation(captions, aim_of(given).images(self.augmentation.images))


def aim_of(given: Mapping[str, Any]) -> AimOptions:
    return AimOptions(**values_of(AimOptions, given, "node"))
