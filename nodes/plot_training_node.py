"""The node that draws how a training run went, and keeps its numbers as a table."""

from __future__ import annotations

import io as bytes_io
from typing import Any

from comfy_api.latest import io, ui
from PIL import Image

from ..masking.pixels import tensor_of
from ..training.reports.history_file import history_csv
from ..training.reports.loss_map import history_of
from ..training.reports.loss_plot import loss_plot
from .folders.output_names import save_in_output
from .node_schema import LOOK, node_schema
from .socket_types import LossMap


class PlotTraining(io.ComfyNode):
    """Takes the loss_map of any training node; what it does not tell is left out of plot and table."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return node_schema(
            node_id="AnimaFastTrainPlotTraining",
            display_name="Plot Training",
            category=LOOK,
            description="Draws the loss of every step, smoothed, with the evaluation loss inside and outside the mask "
            "and the learning rate.",
            search_aliases=[
                "loss graph",
                "loss curve",
                "plot loss",
                "training chart",
                "learning curve",
                "loss csv",
                "training log",
            ],
            is_output_node=True,
            inputs=[
                LossMap.Input(
                    "loss_map",
                    tooltip="From a training node of this pack. That of ComfyUI's Train LoRA has only the loss.",
                ),
                io.String.Input(
                    "filename_prefix",
                    default="anima_training",
                    tooltip="The name of the CSV file in ComfyUI's output folder; a number is added, so nothing is "
                    "overwritten. A slash makes a subfolder.",
                ),
                io.Boolean.Input(
                    "save_csv",
                    default=True,
                    tooltip="Also save the numbers as a CSV file with a row for each step, which any spreadsheet "
                    "opens. The plot itself is kept by connecting image to Save Image.",
                ),
            ],
            outputs=[
                io.Image.Output("image", tooltip="The plot, for Save Image."),
                io.String.Output("csv_path", tooltip="Where the CSV file was saved; empty where it was not."),
            ],
        )

    @classmethod
    def execute(cls, loss_map: Any, filename_prefix: str, save_csv: bool) -> io.NodeOutput:
        history = history_of(loss_map)
        plot = tensor_of(Image.open(bytes_io.BytesIO(loss_plot(history))))[None]
        path = save_in_output(filename_prefix, ".csv", history_csv(history)) if save_csv else ""
        return io.NodeOutput(plot, str(path), ui=ui.PreviewImage(plot, cls=cls))
