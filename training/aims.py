"""The one choice for the artist: what the context is for. It decides what else has to go together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ..declared import ARTIST, setting
from .references.augmentation import ImageAugmentation
from .settings import TrainingSettings
from .token_settings import TRAINING

Aim = Literal["new pictures", "this picture, most detail"]

AIMS: dict[Aim, str] = {
    "new pictures": "carries the subject into other poses, places and backgrounds, which the prompt decides",
    "this picture, most detail": "knows the picture as it is, to vary or repair it; pose and background come along, "
    "whatever the prompt says, and cut_paste and token_norm of Training Options are off",
}


@dataclass(frozen=True)
class AimOptions:
    """What a context is trained for."""

    aim: Aim = setting(
        "new pictures",
        help="What it is trained for.",
        topic=TRAINING,
        audience=ARTIST,
        choices=AIMS,
    )

    def settings(self, settings: TrainingSettings) -> TrainingSettings:
        """The settings that the aim leaves of these."""
        if self.aim == "new pictures":
            return settings
        words = "" if settings.finds_words else settings.subject_words
        return replace(settings, token_norm="unbounded", subject_words=words)

    def images(self, images: ImageAugmentation) -> ImageAugmentation:
        """How pictures are shown, of what was asked for."""
        return images if self.aim == "new pictures" else replace(images, cut_paste=0.0)
