"""The node that draws how a training run went, and keeps its numbers as a table."""

from __future__ import annotations

import io as bytes_io
from typing import Any

import numpy
import torch
from comfy_api.latest import io, ui
from PIL import Image
from torch import Tensor

from ..training.atomic_file import write_atomically
from ..training.reports.history_file import history_csv
from ..training.reports.loss_map import history_of
from ..training.reports.loss_plot import loss_plot
from .folders.output_names import new_numbered_file
from .socket_types import CATEGORY, LossMap


class PlotTraining(io.ComfyNode):
    """Takes the loss_map of any training node; what it does not tell is left out of plot and table."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimaFastTrainPlotTraining",
            display_name="AnimaFastTrain - Plot Training",
            category=CATEGORY,
            description="Draws the loss of every step, smoothed, with the error inside and outside the mask and the "
            "learning rate.",
            search_aliases=["loss graph", "training chart", "plot loss", "learning curve", "loss csv", "training log"],
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
        plot = image_of_png(loss_plot(history))
        path = new_numbered_file(filename_prefix, ".csv") if save_csv else None
        if path is not None:
            write_atomically(path, history_csv(history))
        return io.NodeOutput(plot, str(path or ""), ui=ui.PreviewImage(plot, cls=cls))


def image_of_png(png: bytes) -> Tensor:
    """ComfyUI's IMAGE [1,H,W,3] of a picture file."""
    pixels = numpy.asarray(Image.open(bytes_io.BytesIO(png)).convert("RGB"), dtype=numpy.float32) / 255
    return torch.from_numpy(pixels)[None]
