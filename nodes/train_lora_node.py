"""The node that learns what a mask selects as a LoRA."""

from __future__ import annotations

from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ..declared import settings_of, values_of
from ..training.lora_settings import LoraFileSettings, LoraSettings, LoraTrainingSettings, with_lora
from ..training.references.reference_list import ReferenceList
from ..training.run_options import settings_in
from .folders.loras import lora_names
from .lora_run import LoraFiles, train_lora_on_references
from .node_schema import TRAIN, node_schema
from .options.declared_inputs import in_order
from .options.training_options import TrainingOptions
from .options.widget_order import LORA_NODE
from .reference_sockets import join_references, masked_references
from .socket_types import LossMap
from .train_node import FIXED_SEED, model_sockets, reference_sockets

NO_START = "none"
OF_TOKENS = ("num_tokens", "init_std")


class MaskTrainLora(io.ComfyNode):
    """As Anima MaskTrain, into a LoRA instead of a context."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return node_schema(
            node_id="AnimaFastTrainMaskedLora",
            display_name="MaskTrain LoRA",
            category=TRAIN,
            description="Learns what a mask selects in a reference picture as a LoRA, for Load LoRA in any workflow. "
            "What the mask leaves out stays as the model draws it.",
            search_aliases=[
                "train lora",
                "masked lora",
                "lora training",
                "locon",
                "loha",
                "lokr",
                "dylora",
                "lycoris",
                "character lora",
                "masked loss",
                "kohya",
            ],
            has_intermediate_output=True,
            inputs=lora_inputs(),
            outputs=[
                io.LoraModel.Output("lora", tooltip="For Load LoRA Model, Save LoRA Weights."),
                io.String.Output(
                    "info",
                    tooltip="How training went, what merging it loses on this model, and where it was saved. Show it "
                    "with Preview as Text.",
                ),
                LossMap.Output("loss_map", tooltip="The loss of every step, for Plot Training or Plot Loss Graph."),
                io.String.Output("lora_name", tooltip="The file in models/loras, as Load LoRA lists it."),
                io.String.Output(
                    "words",
                    tooltip="Words for the subject, beside which the LoRA was trained: prompts are to say them too. "
                    "Join them to a prompt with Concatenate Text.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        clip: Any,
        vae: Any,
        training_prompt: str,
        reference_image: Tensor | None = None,
        training_mask: Tensor | None = None,
        options: TrainingOptions | None = None,
        references: ReferenceList | None = None,
        attention_map: Tensor | None = None,
        filename_prefix: str = "masked_lora",
        start_lora: str = NO_START,
        **inputs: Any,
    ) -> io.NodeOutput:
        options = options or TrainingOptions()
        own = masked_references(reference_image, training_mask, options, attention_map)
        lora = LoraSettings(**values_of(LoraSettings, inputs, "node"))
        file = LoraFileSettings(**values_of(LoraFileSettings, inputs, "node"))
        file.check_fits(lora)
        return train_lora_on_references(
            (model, clip, vae),
            join_references(own, references),
            options.framing_of(inputs),
            with_lora(options.training_settings(inputs), lora),
            options,
            options.augmentation_of(training_prompt, inputs),
            LoraFiles(filename_prefix, file.layout, "" if start_lora == NO_START else start_lora),
        )


def lora_inputs() -> list[io.Input]:
    """Those of Anima MaskTrain, with a LoRA's settings in place of the tokens'."""
    prefix = io.String.Input(
        "filename_prefix",
        default="masked_lora",
        optional=True,
        tooltip="The file's name in models/loras; a number is added, so that nothing is overwritten. A slash makes a "
        "subfolder; %year%, %month% and %day% are filled in. Empty saves none.",
    )
    start = io.Combo.Input(
        "start_lora",
        options=[NO_START, *lora_names()],
        default=NO_START,
        optional=True,
        tooltip="A LoRA to go on from, with more steps or with other pictures, of the kind, rank and layers chosen "
        "here, whoever trained it.",
        advanced=True,
    )
    models = model_sockets("Chroma, Cosmos-Predict2, Z-Image, Lumina 2, Qwen-Image or Flux")
    sockets = {each.id: each for each in (*models, *reference_sockets(masked=True), prefix, start)}
    shared = [each for each in settings_in(of_training_nodes=True) if each.node_id not in OF_TOKENS]
    settings = (*shared, *settings_of(LoraSettings), *settings_of(LoraFileSettings))
    more = {**FIXED_SEED, "train_steps": {"default": LoraTrainingSettings.steps}}
    return in_order(settings, LORA_NODE, sockets, "aim", more)
