"""The node that learns what a mask selects as an embedding."""

from __future__ import annotations

from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ..declared import settings_of, values_of
from ..training.embedding_settings import EmbeddingSettings, with_embedding
from ..training.references.reference_list import ReferenceList
from ..training.run_options import settings_in
from .embedding_run import train_embedding_on_references
from .node_schema import TRAIN, node_schema
from .options.declared_inputs import in_order
from .options.training_options import TrainingOptions
from .options.widget_order import EMBEDDING_NODE
from .reference_sockets import join_references, masked_references
from .socket_types import LossMap
from .train_lora_node import OF_TOKENS
from .train_node import FIXED_SEED, reference_sockets


class MaskTrainEmbedding(io.ComfyNode):
    """As Anima MaskTrain, into an embedding of SD 1.5 or SDXL."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return node_schema(
            node_id="AnimaFastTrainMaskedEmbedding",
            display_name="MaskTrain Embedding",
            category=TRAIN,
            description="Learns what a mask selects in a reference picture as an embedding of SD 1.5 or SDXL: a few "
            "words of a prompt that no dictionary has. ComfyUI and the webui read its file, a few kilobytes.",
            search_aliases=[
                "textual inversion",
                "train embedding",
                "dreamartist",
                "negative embedding",
                "masked embedding",
                "pivotal tuning",
                "sd 1.5",
                "sdxl",
            ],
            has_intermediate_output=True,
            inputs=embedding_inputs(),
            outputs=[
                io.String.Output(
                    "embedding",
                    tooltip="What says it in a prompt, such as embedding:character_00001_, and behind it the words for "
                    "the subject, beside which it was trained.",
                ),
                io.String.Output(
                    "negative_embedding",
                    tooltip="What says the second one in a negative prompt; empty without negative_vectors.",
                ),
                io.String.Output(
                    "info",
                    tooltip="How training went, and how the embedding is said in a prompt. Show it with Preview as "
                    "Text.",
                ),
                LossMap.Output("loss_map", tooltip="The loss of every step, for Plot Training or Plot Loss Graph."),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        clip: Any,
        vae: Any,
        training_prompt: str,
        embedding_name: str,
        reference_image: Tensor | None = None,
        training_mask: Tensor | None = None,
        options: TrainingOptions | None = None,
        references: ReferenceList | None = None,
        attention_map: Tensor | None = None,
        **inputs: Any,
    ) -> io.NodeOutput:
        options = options or TrainingOptions()
        own = masked_references(reference_image, training_mask, options, attention_map)
        embedding = EmbeddingSettings(**values_of(EmbeddingSettings, inputs, "node"))
        return train_embedding_on_references(
            (model, clip, vae),
            join_references(own, references),
            options.framing_of(inputs),
            with_embedding(options.training_settings(inputs), embedding),
            options,
            options.augmentation_of(training_prompt, inputs),
            embedding_name,
        )


def embedding_inputs() -> list[io.Input]:
    """Those of Anima MaskTrain, with an embedding's settings in place of the tokens'."""
    models = [
        io.Model.Input("model", tooltip="SD 1.5 or SDXL, with the LoRAs you sample with. It is not changed."),
        io.Clip.Input("clip", tooltip="The text encoder of the same checkpoint, which will read the embedding."),
        io.Vae.Input("vae", tooltip="The VAE of the same checkpoint."),
    ]
    name = io.String.Input(
        "embedding_name",
        default="character",
        tooltip="The file's name in models/embeddings; a number is added, so that nothing is overwritten. A prompt has "
        "to say it, so it holds no spaces, brackets or commas. A slash makes a subfolder.",
    )
    sockets = {each.id: each for each in (*models, *reference_sockets(masked=True), name)}
    shared = [each for each in settings_in(of_training_nodes=True) if each.node_id not in OF_TOKENS]
    return in_order((*shared, *settings_of(EmbeddingSettings)), EMBEDDING_NODE, sockets, "aim", FIXED_SEED)
