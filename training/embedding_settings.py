"""What an embedding is: how many vectors, for which prompts, and what they begin at."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from ..declared import ARTIST, setting
from .settings import TrainingSettings
from .token_settings import TRAINING

# Of 77 places in a chunk of CLIP's, two begin and end it.
MOST_VECTORS = 75


@dataclass(frozen=True)
class EmbeddingSettings:
    """Of the embedding alone."""

    vectors: int = setting(
        8,
        help="Vectors of the embedding; each takes the room of a word in the prompt. More remember more of the "
        "picture, also what you do not want.",
        topic=TRAINING,
        audience=ARTIST,
        least=1,
        most=MOST_VECTORS,
    )
    start_words: str = setting(
        "",
        help="Words whose meaning the vectors begin at, such as 'red hair, long coat'. Empty begins at those of the "
        "first picture's prompt.",
        topic=TRAINING,
        audience=ARTIST,
    )
    negative_vectors: int = setting(
        0,
        help="Vectors of a second embedding for the negative prompt, trained together with the first through the "
        "guided prediction (DreamArtist); a step takes twice as long. 0 trains none.",
        topic=TRAINING,
        audience=ARTIST,
        least=0,
        most=MOST_VECTORS,
    )


@dataclass(frozen=True)
class EmbeddingTrainingSettings(TrainingSettings, EmbeddingSettings):
    """One training of an embedding: how it is trained and what it is. Of what the first says of tokens, length and
    start are said of the vectors too, and guidance of the second embedding; the rest does not touch them."""


def with_embedding(settings: TrainingSettings, embedding: EmbeddingSettings) -> EmbeddingTrainingSettings:
    """Both together."""
    return EmbeddingTrainingSettings(**{**_values(settings), **_values(embedding)})


def _values(declared: Any) -> dict[str, Any]:
    return {field.name: getattr(declared, field.name) for field in fields(declared)}
