"""What a file says of the training that it comes from."""

from __future__ import annotations

from dataclasses import dataclass

PACK_VERSION = "0.1.0"
FORMAT_VERSION = "1.0"


@dataclass(frozen=True)
class TrainingInfo:
    """Every field is optional in a file; block count and context_dim are those of the tokens themselves."""

    model_family: str = ""
    prompt: str = ""
    steps: int = 0
    learning_rate: str = ""  # as the user wrote it: a number or a schedule
    reference_count: int = 0
    coverage: tuple[float, ...] = ()  # 0..1, one for each reference
    inside_before: float | None = None  # evaluation loss inside the mask
    inside_after: float | None = None
    outside_before: float | None = None  # evaluation loss outside the mask
    outside_after: float | None = None
    leak: float | None = None
    final_loss: float | None = None
    seed: int | None = None
    image_size: tuple[int, ...] = ()  # width, height in pixels
    pack_version: str = PACK_VERSION
    format_version: str = FORMAT_VERSION
