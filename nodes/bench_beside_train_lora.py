"""Times a training step beside one of ComfyUI's own Train LoRA node: same model, size, precision and batch, in one
process and in turn. `bench --comfyui` starts it in ComfyUI's Python.

Bare steps are without prior preservation, since Train LoRA has none. Train LoRA fails on Anima without a backward pass
of the fused rotary op, so it borrows ours. Of whole runs the model's own predictions, the search for words and for the
rate and all evaluations count; backgrounds are drawn before them and do not.
"""

from __future__ import annotations

import itertools
import json
import statistics
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import comfy.model_management as management
import comfy_extras.nodes_train as nodes_train
import torch

from ..training.fast_path.block import Kept
from ..training.manifests.backbones import AnimaFiles
from ..training.measurements.beside_comfyui import Asked
from ..training.measurements.ceilings import now
from ..training.references.encode import EncodedReference
from ..training.settings import TrainingSettings
from ..training.train_context import train_context_tokens
from .anima.rotary import differentiable_rotary
from .models.anima_files import loaded
from .models.backbone import training_backbone

STEPS = 6  # of each run of bare steps; the first one warms up
PROMPT = "1girl, red hair, looking at viewer"


def main(events: IO[str], arguments: list[str]) -> None:
    """Writes a line of JSON: device, and seconds a step of both."""
    _, *files, asked = arguments
    measured = Comparison(AnimaFiles(*map(Path, files)), Asked(**json.loads(asked))).measure()
    events.write(json.dumps(measured) + "\n")


class Comparison:
    """The models of three files, and a picture of noise for them."""

    @torch.inference_mode()
    def __init__(self, files: AnimaFiles, asked: Asked) -> None:
        self._asked, self._device = asked, management.get_torch_device()
        self._model, self._clip, self._vae = loaded(files)
        cells = asked.side // 8
        self._latent = torch.randn(asked.batch, 16, 1, cells, cells, generator=torch.Generator().manual_seed(0))

    @torch.inference_mode()
    def measure(self) -> dict[str, Any]:
        """Both in turn; the median of all steps but each run's first."""
        theirs: list[float] = []
        ours: list[float] = []
        for _ in range(self._asked.rounds):
            theirs += self._train_lora()
            ours += self._train_tokens()
        return {"device": str(self._device), "train_lora": statistics.median(theirs), "ours": statistics.median(ours)}

    def _train_lora(self) -> list[float]:
        ticks, device, asked = [], self._device, self._asked

        class Clock:
            """Stands in for the progress bar, which is told of every step."""

            def __init__(self, total: int) -> None: ...

            def update(self, _: int) -> None:
                ticks.append(now(device))

        bar, nodes_train.ProgressBar = nodes_train.ProgressBar, Clock
        inputs = {
            "model": self._model,
            "latents": {"samples": self._latent},
            "batch_size": asked.batch,
            "steps": STEPS,
            "grad_accumulation_steps": 1,
            "learning_rate": 1e-4,
            "rank": 8,
            "optimizer": "AdamW",
            "loss_function": "MSE",
            "seed": 0,
            "training_dtype": asked.precision,
            "lora_dtype": asked.precision,
            "quantized_backward": False,
            "algorithm": "LoRA",
            "gradient_checkpointing": False,
            "checkpoint_depth": 1,
            "offloading": False,
            "existing_lora": "[None]",
            "bucket_mode": False,
            "bypass_mode": False,
        }
        prompt = self._clip.encode_from_tokens_scheduled(self._clip.tokenize(PROMPT))
        try:
            with differentiable_rotary():
                nodes_train.TrainLoraNode.execute(
                    **{name: [value] for name, value in inputs.items()}, positive=[prompt]
                )
        finally:
            nodes_train.ProgressBar = bar
        return differences(ticks)

    def _train_tokens(self) -> list[float]:
        ticks, device, asked = [], self._device, self._asked
        settings = TrainingSettings(batch_size=asked.batch)
        if not asked.whole:
            settings = replace(settings, steps=STEPS, prior_weight=0.0, noise_pool=asked.batch, evaluations=1)
        models = self._model, self._clip, self._vae
        with training_backbone(*models, "off", asked.precision) as backbone:  # type: ignore[arg-type]
            kept = [Kept[asked.kept]] * backbone.num_blocks
            backbone.kept = lambda latents, adapters=False: kept  # type: ignore[method-assign]
            x0 = self._model.model.process_latent_in(self._latent.clone())[:1].to(device)
            mask = torch.zeros(1, 1, *x0.shape[-2:], device=device)
            mask[..., x0.shape[-2] // 4 :, x0.shape[-1] // 4 :] = 1
            reference = EncodedReference(x0, mask, backbone.encode_prompt(PROMPT), caption=PROMPT)
            started = now(device)
            train_context_tokens(backbone, [reference], settings, lambda _: ticks.append(now(device)))
            seconds = now(device) - started
        return [seconds / settings.steps] if asked.whole else differences(ticks[:-1])  # an evaluation follows the last


def differences(ticks: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(ticks)]
