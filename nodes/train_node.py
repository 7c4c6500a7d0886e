"""The two training nodes: a picture learned as a whole, and a picture learned where a mask says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ..training.references.reference_list import ReferenceList
from ..training.run_options import settings_in
from ..training.settings import TrainingSettings
from ..training.trainables.context_file import ReferenceContext
from .models.families import token_family_of
from .node_schema import TRAIN, node_schema
from .options.declared_inputs import in_order
from .options.training_options import TrainingOptions
from .options.widget_order import TRAINING_NODES
from .reference_sockets import join_references, masked_references, whole_references
from .socket_types import Context, LossMap, Options, References
from .training_run import train_on_references

# a seed that changes by itself trains again at every run
FIXED_SEED = {"seed": {"control_after_generate": io.ControlAfterGenerate.fixed}}


class TrainContextTokens(io.ComfyNode):
    """Trains on the whole of each reference picture."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return node_schema(
            node_id="AnimaFastTrainReferenceContext",
            display_name="Anima Train (no LoRA)",
            category=TRAIN,
            description="Learns a whole picture, its style or its place, as context tokens that the model reads "
            "beside the prompt. The model stays as it is. For a character, Anima MaskTrain leaves the background out.",
            search_aliases=[
                "style",
                "anima",
                "sdxl",
                "illustrious",
                "noobai",
                "train",
                "whole picture",
                "textual inversion",
                "train embedding",
                "train style",
                "anima training",
                "soft prompt",
                "train tokens",
                "reference context",
            ],
            has_intermediate_output=True,  # keeps info on the node when the run comes from cache
            inputs=training_inputs(masked=False),
            outputs=training_outputs(),
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        clip: Any,
        vae: Any,
        training_prompt: str,
        reference_image: Tensor | None = None,
        options: TrainingOptions | None = None,
        references: ReferenceList | None = None,
        attention_map: Tensor | None = None,
        start_context: ReferenceContext | None = None,
        **inputs: Any,
    ) -> io.NodeOutput:
        together = join_references(whole_references(reference_image, attention_map), references)
        options = replace(options or TrainingOptions(), begin=start_context)
        return train_by_inputs((model, clip, vae), together, training_prompt, options, inputs)


class MaskTrainContextTokens(io.ComfyNode):
    """Trains on what a mask selects, and holds the model to what it does anyway outside of it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return node_schema(
            node_id="AnimaFastTrainMaskedReferenceContext",
            display_name="Anima MaskTrain",
            category=TRAIN,
            description="Learns what a mask selects in a reference picture as context tokens that the model reads "
            "beside the prompt. What the mask leaves out stays as the model draws it.",
            search_aliases=[
                "anima",
                "sdxl",
                "illustrious",
                "noobai",
                "chroma",
                "character",
                "train",
                "lora",
                "ipadapter",
                "mask train",
                "train lora",
                "train character",
                "masked training",
                "character reference",
                "anima training",
                "textual inversion",
                "dreambooth",
                "masked loss",
            ],
            has_intermediate_output=True,
            inputs=training_inputs(masked=True),
            outputs=training_outputs(),
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
        start_context: ReferenceContext | None = None,
        **inputs: Any,
    ) -> io.NodeOutput:
        options = replace(options or TrainingOptions(), begin=start_context)
        own = masked_references(reference_image, training_mask, options, attention_map)
        return train_by_inputs((model, clip, vae), join_references(own, references), training_prompt, options, inputs)


def train_by_inputs(
    models: tuple[ModelPatcher, Any, Any],
    references: ReferenceList,
    training_prompt: str,
    options: TrainingOptions,
    inputs: dict[str, Any],
) -> io.NodeOutput:
    """Trains as Training Options and the node's own widgets, by their ids, say. Raises ValueError in one sentence."""
    token_family_of(models[0])  # refused before a picture is read
    settings, framing = options.training_settings(inputs), options.framing_of(inputs)
    augmentation = options.augmentation_of(training_prompt, inputs)
    return train_on_references(*models, references, framing, settings, options, augmentation)


def training_inputs(masked: bool) -> list[io.Input]:
    """The inputs of both nodes, which differ by the mask alone."""
    sockets = {each.id: each for each in (*model_sockets(), *reference_sockets(masked), start_socket())}
    return in_order(settings_in(of_training_nodes=True), TRAINING_NODES, sockets, "aim", FIXED_SEED)


def model_sockets(families: str = "Chroma or Cosmos-Predict2") -> list[io.Input]:
    """families: those beside Anima and Stable Diffusion, in words."""
    return [
        io.Model.Input(
            "model",
            tooltip=f"Anima, SDXL (Illustrious and NoobAI too), SD 1.5, {families}, with the LoRAs you sample with. It "
            "is not changed.",
        ),
        io.Clip.Input(
            "clip",
            tooltip="The model's text encoder. Anima's is qwen_3_06b_base.safetensors, loaded with type "
            "stable_diffusion.",
        ),
        io.Vae.Input("vae", tooltip="The model's VAE. Anima's is qwen_image_vae.safetensors."),
    ]


def reference_sockets(masked: bool) -> list[io.Input]:
    """What says what is learned: pictures, their mask, their prompt and what matters most of them."""
    mask = io.Mask.Input(
        "training_mask",
        optional=True,
        tooltip="What to learn: white is learned, black is ignored, gray counts in between. One mask for all pictures "
        "or one for each. Paint it with Open in MaskEditor on Load Image. Beware: Load Image's MASK is white where a "
        "picture is transparent; for a cut-out character choose 'inverted mask' in Training Options.",
    )
    return [
        io.Image.Input(
            "reference_image",
            optional=True,
            tooltip="The picture to learn. A batch of pictures is several references for one context; for different "
            "sizes use Add Reference.",
        ),
        *([mask] if masked else []),
        io.String.Input(
            "training_prompt",
            multiline=True,
            default="1girl, solo",
            tooltip="Describes the reference without what is special about it: learned is what these words "
            "leave out. Tags of what should stay free, such as pose or background, belong here. Several lines are "
            "drawn at random; [name] and [filewords] (a reference's caption) are filled in. A reference with a "
            "caption is shown under that alone, unless [filewords] says where it goes.",
        ),
        Options.Input(
            "options",
            optional=True,
            tooltip="From Training Options, for what is rarely changed. Without it the defaults are used.",
        ),
        References.Input(
            "references",
            optional=True,
            tooltip="More pictures of the subject, from Add Reference or Load Reference Folder; they may come without "
            "a reference_image. "
            + (
                "Those without a mask are learned as a whole."
                if masked
                else "Their masks are left out here: all of each is learned."
            ),
        ),
        io.Mask.Input(
            "attention_map",
            optional=True,
            tooltip="What matters most of what is learned, such as the face: white counts attention_weight times "
            f"(Training Options; {TrainingSettings().emphasis_weight:g}), black once. It selects nothing by itself. "
            "One for all pictures of reference_image or one for each.",
        ),
    ]


def start_socket() -> io.Input:
    return Context.Input(
        "start_context",
        optional=True,
        tooltip="A context to go on from, with more steps or with other pictures, from Load Context or a training "
        "node. Its number of tokens stays; num_tokens and init_std are then not used.",
    )


def training_outputs() -> list[io.Output]:
    return [
        Context.Output("context", tooltip="The trained context, for Patch Model or Save Context."),
        io.String.Output(
            "info",
            tooltip="How training went: losses before and after, coverage, time, memory, hints. Show it with Preview "
            "as Text.",
        ),
        LossMap.Output("loss_map", tooltip="The loss of every step, for Plot Training or ComfyUI's Plot Loss Graph."),
    ]
