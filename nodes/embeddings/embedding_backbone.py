"""The trainer's view of SD 1.5 and SDXL where an embedding is trained: prompts are encoded again in each step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import comfy.model_management as management
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...training.conditioning import Conditioning, cat, of_one_length
from ...training.embeddings.word_vectors import WordVectors
from ...training.run_options import Precision, Recompute
from ..models.backbone import FLOAT16_GRADIENT_SCALE, ModelBackbone
from ..models.families import family_of
from ..models.gradient_scale import scale_gradient
from .text_encoder import TextEncoder, Tokens

# Of a row's extras: which of the prompts that were encoded it is, [rows,1].
PROMPT = "prompt_number"


class EmbeddingBackbone(ModelBackbone):
    """A `ModelBackbone` that takes `WordVectors` as trained: they stand after the words of each row's prompt.

    Text encoder and model are on their devices together while it trains.
    """

    def __init__(self, model: ModelPatcher, clip: Any, vae: Any, recompute: Recompute, precision: Precision) -> None:
        super().__init__(model, clip, vae, recompute, precision)
        self._encoder = TextEncoder(clip)
        self._prompts: list[str] = []
        self._tokens: dict[tuple[int, int], Tokens] = {}  # of a prompt with so many vectors

    def word_tables(self) -> Mapping[str, Tensor]:
        return self._encoder.word_tables()

    def words(self, text: str) -> Mapping[str, Tensor]:
        return self._encoder.words(text)

    def encode_prompt(self, prompt: str) -> Conditioning:
        plain = super().encode_prompt(prompt)
        if prompt not in self._prompts:
            self._prompts.append(prompt)
        number = torch.tensor([[self._prompts.index(prompt)]])
        return replace(plain, extras={**plain.extras, PROMPT: number})

    def predict(self, x_t: Tensor, level: Tensor, conditioning: Conditioning, trained: Any = None) -> Tensor:
        extras = {name: tensor for name, tensor in conditioning.extras.items() if name != PROMPT}
        if isinstance(trained, WordVectors):
            self._enter_training(x_t)
            conditioning = self._with_vectors(conditioning.extras[PROMPT].flatten().tolist(), trained)
            return super().predict(x_t, level, conditioning)
        return super().predict(x_t, level, replace(conditioning, extras=extras), trained)

    def _with_vectors(self, numbers: list[int], trained: WordVectors) -> Conditioning:
        """The prompts of these numbers with the vectors, each encoded once."""
        distinct = list(dict.fromkeys(numbers))
        parts = dict(zip(distinct, of_one_length([self._encoded(number, trained) for number in distinct]), strict=True))
        return cat([parts[number] for number in numbers])

    def _encoded(self, number: int, trained: WordVectors) -> Conditioning:
        key = (number, trained.count)
        if key not in self._tokens:
            self._tokens[key] = self._encoder.tokens_with(self._prompts[number], trained.count)
        vectors = {name: each.to(self._encoder.patcher.load_device) for name, each in trained.vectors.items()}
        encoded, pooled = self._encoder.encode(self._tokens[key], vectors)
        scale = self._gradient_scale()
        encoded, pooled = scale_gradient(encoded, scale), scale_gradient(pooled, scale)
        return self.family.conditioning(self.model.model, encoded, {"pooled_output": pooled}, self.model.load_device)

    def _gradient_scale(self) -> float:
        """By which a prediction's gradient is to be undone on its way to the prompt."""
        float16 = self.model.model.get_dtype_inference() == torch.float16
        return 1 / FLOAT16_GRADIENT_SCALE if float16 else 1.0

    def _enter_training(self, x_t: Tensor) -> None:
        if self._training:
            return
        super()._enter_training(x_t)
        with torch.inference_mode():
            management.load_models_gpu([self.model, self._encoder.patcher], force_full_load=True)
        self._loaded.enter_context(self._encoder.differentiable())


@contextmanager
def embedding_backbone(
    model: ModelPatcher, clip: Any, vae: Any, recompute: Recompute = "auto", precision: Precision = "auto"
) -> Iterator[EmbeddingBackbone]:
    """As `training_backbone`. Raises ValueError for a model of another family than SD 1.5 and SDXL too."""
    family = family_of(model)
    if family.name not in ("sd15", "sdxl"):
        raise ValueError(
            f"the model is {family.title}, expected SD 1.5 or SDXL: embeddings of other models are read by nothing"
        )
    family.check_clip(clip)
    family.check_vae(vae)
    with torch.inference_mode(False):
        backbone = EmbeddingBackbone(model, clip, vae, recompute, precision)
        try:
            yield backbone
        finally:
            backbone.close()
