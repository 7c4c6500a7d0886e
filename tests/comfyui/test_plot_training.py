"""Plot Training shows a run, and keeps its numbers as a table with a row for each step."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from comfyui_server import ComfyServer
from workflows import Workflow, node, training

STEPS = 7


def plotted(**changes: object) -> Workflow:
    inputs = {"loss_map": ["train", 2], "filename_prefix": "runs/anna", "save_csv": True, **changes}
    return {
        **training(train_steps=STEPS),
        "plot": node("AnimaFastTrainPlotTraining", **inputs),
        "path": node("PreviewAny", source=["plot", 1]),
        "kept": node("SaveImage", images=["plot", 0], filename_prefix="plot"),
    }


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_table_has_a_row_for_each_step_and_is_never_overwritten(server: ComfyServer):
    first = Path(server.run_well(plotted()).text("path"))
    assert first.parent == server.base / "output" / "runs"
    rows = rows_of(first)
    assert [int(row["step"]) for row in rows] == list(range(1, STEPS + 1))
    assert all(float(row["loss"]) > 0 and float(row["learning_rate"]) > 0 for row in rows)
    assert float(rows[-1]["evaluation_inside"]) > 0 and rows[0]["evaluation_inside"] == ""
    before = first.read_bytes()
    again = plotted()
    again["train"]["inputs"]["seed"] = 2
    second = Path(server.run_well(again).text("path"))
    assert second != first
    assert first.read_bytes() == before != second.read_bytes()


def test_the_plot_is_shown_and_handed_on(server: ComfyServer):
    finished = server.run_well(plotted(filename_prefix="shown"))
    assert server.picture(finished, "plot").shape == server.picture(finished, "kept").shape
    assert server.picture(finished, "plot").std() > 10


def test_without_save_csv_no_file_is_written(server: ComfyServer):
    finished = server.run_well(plotted(save_csv=False, filename_prefix="unwanted"))
    assert finished.text("path") == ""
    assert list((server.base / "output").glob("unwanted*")) == []


@pytest.mark.parametrize("prefix", ["../outside", "/outside", ""])
def test_a_name_that_leaves_the_output_folder_is_refused(server: ComfyServer, prefix: str):
    finished = server.run(plotted(filename_prefix=prefix))
    assert finished.status == "error"
    assert "filename_prefix" in finished.error and "\n" not in finished.error
    assert not (server.base / "outside_00001_.csv").exists()
