"""Plot Training takes the LOSS_MAP of ComfyUI's own Train LoRA, which has only the loss."""

from __future__ import annotations

import tempfile
from pathlib import Path

import folder_paths
from small_models import raises

from anima_fast_train.nodes.plot_training_node import PlotTraining

LOSSES = [0.5, 0.4, 0.45, 0.3]


def check_a_plain_loss_map_gives_a_plot_and_a_row_for_each_step() -> None:
    before = folder_paths.get_output_directory()
    with tempfile.TemporaryDirectory() as folder:
        folder_paths.set_output_directory(folder)
        try:
            image, path = PlotTraining.execute({"loss": LOSSES}, "lora", True).args
            header, *rows = Path(path).read_text().splitlines()
        finally:
            folder_paths.set_output_directory(before)
    assert image.ndim == 4 and image.shape[0] == 1 and image.shape[-1] == 3
    assert float(image.min()) >= 0 and float(image.max()) <= 1 and float(image.std()) > 0.01
    assert header.startswith("step,loss")
    assert [float(row.split(",")[1]) for row in rows] == LOSSES


def check_what_is_no_loss_map_is_refused() -> None:
    with raises(ValueError, "loss_map", "expected"):
        PlotTraining.execute({"steps": 3}, "lora", True)
