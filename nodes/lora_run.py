"""Trains a LoRA inside ComfyUI, from references to what the node hands on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io, ui

from ..masking.framing import Framing
from ..training.adapters.layers import adaptable_layers
from ..training.adapters.lora_reading import load_lora
from ..training.adapters.plan import plan_of
from ..training.adapters.trained_lora import TrainedLora
from ..training.lora_settings import Layout, LoraTrainingSettings
from ..training.references.augmentation import Augmentation
from ..training.references.caption import refuse_unnamed
from ..training.references.reference_list import ReferenceList
from ..training.reports.loss_map import loss_map_of
from .folders.loras import lora_path, save_as_new_lora
from .live.channel import Channel
from .live.finish import REQUESTS
from .live.loss_line import DONE, done_message
from .live.phases import Phases
from .models.families import family_of
from .models.merging import remarks_on_merging
from .options.training_options import TrainingOptions
from .watched_run import DIVERGED, Watched, keeping_the_best, run_to_its_end


@dataclass(frozen=True)
class LoraFiles:
    """prefix: of the name in models/loras; empty keeps no file. start: a name there to go on from, or empty."""

    prefix: str = ""
    layout: Layout = "sd-scripts"
    start: str = ""


def train_lora_on_references(
    models: tuple[ModelPatcher, Any, Any],
    references: ReferenceList,
    framing: Framing,
    settings: LoraTrainingSettings,
    options: TrainingOptions,
    augmentation: Augmentation,
    files: LoraFiles,
) -> io.NodeOutput:
    """LORA_MODEL, info, loss_map, the name of the file and the words for prompts, with info shown on the node. Raises
    ValueError in one sentence for what cannot be trained on."""
    channel = Channel.of_executing_node()
    with Phases(channel, models[0].load_device) as phases, REQUESTS.listening(channel) as finish:
        phases.begin("starting")
        refuse_unnamed(augmentation.captions)
        options = replace(options, begin=beginning(models[0], settings, files.start))
        watched = Watched(phases, finish, options.previews)
        with keeping_the_best(best_lora_saved):
            ended = run_to_its_end(
                models, references, framing, settings, options, augmentation, watched, remarks_on_merging
            )
        result = ended.result
        name, info = kept(replace(result.trained, layout=files.layout), files.prefix, ended.info)
        words = f"trained {len(result.history.losses)} steps"
        phases.send(DONE, done_message(words, result.kept_step, result.history, ended.figures))
    trained = result.trained
    given = trained.tensors(), info, loss_map_of(result.history), name, trained.prompt_words
    return io.NodeOutput(*given, ui=ui.PreviewText(info))


def beginning(model: ModelPatcher, settings: LoraTrainingSettings, start: str) -> TrainedLora | None:
    """The LoRA to go on from. Raises ValueError where it is not of this model, or where the model has no layers for
    what is asked: better before a picture is encoded."""
    family = family_of(model)
    layers = adaptable_layers(model.model.diffusion_model, family.without_layers)
    plan = plan_of(layers, settings, family.name)
    if not start:
        return None
    lora = load_lora(lora_path(start), layers, family.name)
    lora.values_for(plan, settings.strength)
    return lora


def kept(lora: TrainedLora, prefix: str, info: str) -> tuple[str, str]:
    """The name of its file, and the info that says it; a disk that does not take it leaves the LoRA on the wire."""
    if not prefix.strip():
        return "", f"{info}\nnot saved: filename_prefix is empty"
    try:
        name = save_as_new_lora(lora, prefix)
    except OSError as error:
        return "", f"{info}\nnote: not saved: {error}"
    return name, f"{info}\nsaved as: {name}, for Load LoRA"


def best_lora_saved(trained: TrainedLora) -> str:
    return f"the best LoRA before that was saved as {save_as_new_lora(trained, DIVERGED)}, for Load LoRA"
