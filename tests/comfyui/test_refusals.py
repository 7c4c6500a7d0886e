"""What cannot be trained on reaches the user as one sentence on the node, and the queue goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from comfyui_server import ComfyServer
from make_checkpoints import OTHER_MODEL_FILE, OTHER_VAE_FILE
from workflows import PLAIN_PICTURE, Workflow, node, patch, plain_picture, training, training_options


def with_other_model() -> Workflow:
    return {**training(), "model": node("UNETLoader", unet_name=Path(OTHER_MODEL_FILE).name, weight_dtype="default")}


def with_other_vae() -> Workflow:
    return {**training(), "vae": node("VAELoader", vae_name=Path(OTHER_VAE_FILE).name)}


def without_a_mask() -> Workflow:
    return {**training(), "reference": node("LoadImage", image=PLAIN_PICTURE)}


def with_a_mask_of_another_aspect() -> Workflow:
    return {**training(training_mask=["solid", 0]), "solid": node("SolidMask", value=1.0, width=64, height=32)}


def with_two_masks_for_three_pictures() -> Workflow:
    workflow = training(reference_image=["three", 0], training_mask=["masks", 0])
    workflow["three"] = node("RepeatImageBatch", image=["reference", 0], amount=3)
    workflow["mask_picture"] = node("MaskToImage", mask=["reference", 1])
    workflow["mask_pictures"] = node("RepeatImageBatch", image=["mask_picture", 0], amount=2)
    workflow["masks"] = node("ImageToMask", image=["mask_pictures", 0], channel="red")
    return workflow


def with_no_steps() -> Workflow:
    """Past the widget's minimum, through a link."""
    return {**training(train_steps=["zero", 0]), "zero": node("PrimitiveInt", value=0)}


REFUSED = {
    "model": (with_other_model, "expected Cosmos-Predict2's old T5 XXL"),
    "vae": (with_other_vae, "expected Anima's Wan 2.1 VAE"),
    "black mask": (without_a_mask, "selects nothing"),
    "mask aspect": (with_a_mask_of_another_aspect, "expected the aspect of its picture"),
    "mask count": (with_two_masks_for_three_pictures, "reference mask count must be 1 or match reference image count"),
    "no steps": (with_no_steps, "steps is 0, expected 1 or more"),
    "learning rate": (lambda: training(learning_rate="fast"), "learning rate"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_one_sentence_on_the_node(server: ComfyServer, name: str):
    workflow, words = REFUSED[name]
    finished = server.run(workflow())
    assert finished.status == "error"
    assert words in finished.error
    assert "\n" not in finished.error


def test_the_queue_goes_on_after_a_refusal(server: ComfyServer):
    refused, good = server.queue(without_a_mask()), server.queue(plain_picture())
    assert server.wait(refused).status == "error"
    assert server.wait(good).status == "success"


def test_no_steps_at_the_widget_is_refused_before_anything_runs(server: ComfyServer):
    answer = server.post("/prompt", {"prompt": training(train_steps=0)})
    assert "smaller than min of 1" in str(answer["node_errors"]["train"])


def test_a_mask_that_is_meant_the_other_way_round_can_be_inverted(server: ComfyServer):
    coverage = {}
    for source in ("mask", "inverted mask"):
        workflow = {**training(), "options": training_options(mask_source=source)}
        [line] = [line for line in server.run_well(workflow).text("info").splitlines() if line.startswith("coverage")]
        coverage[source] = float(line.split(":")[1].strip(" %"))
    assert coverage["mask"] + coverage["inverted mask"] == pytest.approx(100, abs=0.2)


def test_a_context_for_another_model_is_refused_by_patch_model(server: ComfyServer):
    workflow = {**training(), **plain_picture(), "patch": patch(["other", 0], ["train", 0])}
    workflow["other"] = node("UNETLoader", unet_name=Path(OTHER_MODEL_FILE).name, weight_dtype="default")
    workflow["sampler"]["inputs"]["model"] = ["patch", 0]
    assert "expected cosmos_predict2" in server.run(workflow).error
