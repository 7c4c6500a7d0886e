"""An embedding as it goes on the wire and into the file that ComfyUI, the webui and diffusers read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from ...masking.wording import printable
from ..files.atomic_file import write_atomically
from ..files.tensor_file import to_bytes
from ..files.tensor_file_fields import to_strings
from ..files.tensor_file_header import Kind, Limits
from ..training_info import LONGEST_PROMPT, TrainingInfo
from .word_vectors import WordVectors

ONE_ENCODER = "emb_params"  # the name of the tensor where a model has one text encoder
NEGATIVE_ENDING = "_negative"  # of the name of the file for the negative prompt
# The format that other tools expect to read there.
KIND = Kind("embedding", "an embedding", "pt", "1.0")
LIMITS = Limits(
    header_bytes=2**22,
    tensors=16,
    dimensions=2,
    tensor_bytes=2**26,
    total_bytes=2**27,
    metadata_entries=64,
    metadata_length=4 * LONGEST_PROMPT,
    name_length=256,
)


@dataclass(frozen=True)
class TrainedEmbedding:
    """positive: [K,D] float32 on the CPU for each text encoder, by its name. negative: for the negative prompt, where
    it was trained (DreamArtist, Dong 2022, 2211.11337). strength: of both."""

    positive: Mapping[str, Tensor]
    negative: Mapping[str, Tensor] | None = None
    info: TrainingInfo = TrainingInfo()
    strength: float = 1.0
    noun: ClassVar[str] = "embedding"
    larger: ClassVar[str] = "more vectors"

    @property
    def prompt_words(self) -> str:
        """Those for its subject, beside which it was trained."""
        return self.info.words

    def summary(self) -> str:
        """One line of a report."""
        widths = " and ".join(f"{vectors.shape[1]} wide for {name}" for name, vectors in self.positive.items())
        other = "" if self.negative is None else f", {_count(self.negative)} for the negative prompt"
        said = f"; write in the prompt: {printable(self.info.words)}" if self.info.words else ""
        return f"embedding: {_count(self.positive)} vectors, {widths}{other}{said}"

    def at(self, level: Tensor) -> WordVectors:
        """What a backbone takes as trained for the prompt, at every level the same."""
        return WordVectors(self.positive, self.strength)

    def at_level(self, level: float, negative: bool = False) -> WordVectors | None:
        """The same for the prompt or for the negative prompt."""
        vectors = self.negative if negative else self.positive
        return None if vectors is None else WordVectors(vectors, self.strength)

    def scaled(self, scale: float) -> TrainedEmbedding:
        """The same at a strength."""
        return replace(self, strength=scale * self.strength)

    def to_bytes(self, negative: bool = False) -> bytes:
        """The content of the file for the prompt, or of that for the negative prompt, where there is one: SD 1.5
        `emb_params` [K,768], SDXL `clip_l` [K,768] and `clip_g` [K,1280]. Raises ValueError where it is not finite."""
        vectors = self.negative if negative else self.positive
        assert vectors is not None
        named = {ONE_ENCODER: next(iter(vectors.values()))} if len(vectors) == 1 else vectors
        return to_bytes(
            {name: tensor.contiguous() for name, tensor in named.items()}, to_strings(self.info), LIMITS, KIND
        )

    def save(self, path: str | Path) -> None:
        """Writes the file whole or not at all, and beside it the one for the negative prompt, where there is one.

        Raises OSError in one sentence, and ValueError as `to_bytes`.
        """
        path = Path(path)
        contents = {path: self.to_bytes()}
        if self.negative is not None:
            contents[negative_path(path)] = self.to_bytes(negative=True)
        for each, content in contents.items():
            write_atomically(each, content)


def negative_path(path: Path) -> Path:
    """Where `save` writes the vectors for the negative prompt."""
    return path.with_stem(path.stem.rstrip("_") + NEGATIVE_ENDING)


def _count(vectors: Mapping[str, Tensor]) -> int:
    return len(next(iter(vectors.values())))
