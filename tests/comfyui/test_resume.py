"""A user cancels a training, queues it again with its checkpoint, and gets what the whole training gives."""

from __future__ import annotations

from pathlib import Path

from comfyui_server import ComfyServer
from safetensors.numpy import load_file
from workflows import Workflow, node, training, training_options

STEPS = 24


def workflow(prefix: str, **checkpoints: object) -> Workflow:
    nodes = training(train_steps=STEPS, seed=77)
    nodes["options"] = training_options(**checkpoints)
    nodes["save"] = node("AnimaFastTrainSaveContext", context=["train", 0], filename_prefix=prefix)
    nodes["losses"] = node("PreviewAny", source=["train", 2])
    return nodes


def tokens_of(server: ComfyServer, name: str) -> bytes:
    """The tensor alone: the order of a safetensors file's metadata differs from one save to the next."""
    return load_file(server.base / "models" / "anima_contexts" / name)["tokens"].tobytes()


def test_a_cancelled_training_is_queued_again_and_finishes_as_if_it_had_not_been(server: ComfyServer):
    checkpoint = server.base / "output" / "anima_checkpoints" / "pause.safetensors"
    prompt = server.queue(workflow("cancelled", checkpoint_every=1, checkpoint_name="pause"))
    server.wait_for_file(checkpoint)
    server.interrupt()
    assert server.wait(prompt).messages[-1][0] == "execution_interrupted"

    resumed = server.run_well(workflow("resumed", resume_from="pause"))
    whole = server.run_well(workflow("whole"))
    assert "train" not in whole.cached_nodes
    assert resumed.text("losses") == whole.text("losses")
    assert tokens_of(server, resumed.text("save")) == tokens_of(server, whole.text("save"))


def test_a_name_that_leaves_the_folder_is_one_sentence(server: ComfyServer):
    finished = server.run(workflow("refused", resume_from="../../input/reference"))
    assert "resume_from is '../../input/reference', expected the name of a checkpoint" in finished.error
    assert "\n" not in finished.error
    assert not list(Path(server.base / "output").rglob("refused*"))
