"""The node for what is rarely changed about training."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ...training.run_options import settings_in
from ..node_schema import TRAIN, node_schema
from ..socket_types import Options
from .declared_inputs import in_order
from .training_options import TrainingOptions
from .widget_order import FIRST_OPTIONAL, TRAINING_OPTIONS


class TrainingOptionsNode(io.ComfyNode):
    """Every option has the default that training uses without this node."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        sockets = {
            "background_images": io.Image.Input(
                "background_images",
                optional=True,
                tooltip="The pictures for backgrounds 'pictures', one or a batch; of any size.",
            )
        }
        return node_schema(
            node_id="AnimaFastTrainOptions",
            display_name="Training Options",
            category=TRAIN,
            description="Options for the training nodes. Without it they use the same defaults.",
            search_aliases=[
                "training settings",
                "training parameters",
                "expert settings",
                "prior preservation",
                "mask options",
                "gradient checkpointing",
                "learning rate",
            ],
            inputs=in_order(settings_in(of_training_nodes=False), TRAINING_OPTIONS, sockets, FIRST_OPTIONAL),
            outputs=[Options.Output("options", tooltip="For a training node or Preview Training Mask.")],
        )

    @classmethod
    def execute(cls, background_images: Tensor | None = None, **inputs: Any) -> io.NodeOutput:
        return io.NodeOutput(TrainingOptions.of_inputs(inputs, background_images))
