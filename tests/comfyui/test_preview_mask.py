"""The mask preview shows what training will see."""

from __future__ import annotations

import numpy
from comfyui_server import ComfyServer
from workflows import REFERENCE, Workflow, loaders, node, training_options


def preview(**options: object) -> Workflow:
    return {
        "reference": node("LoadImage", image=REFERENCE),
        "options": training_options(**options),
        "preview": node(
            "AnimaFastTrainPreviewMask",
            reference_image=["reference", 0],
            training_mask=["reference", 1],
            training_image_size=64,
            options=["options", 0],
        ),
        "mask_picture": node("MaskToImage", mask=["preview", 1]),
        "saved": node("PreviewImage", images=["mask_picture", 0]),
    }


def test_the_latent_mask_has_an_eighth_of_the_training_size(server: ComfyServer):
    finished = server.run_well(preview())
    latent_mask = server.picture(finished, "saved")[..., 0]
    assert latent_mask.shape == (8, 8)
    assert latent_mask.min() == 0
    assert latent_mask.max() == 255
    assert server.picture(finished, "preview").shape[2] == 3


def test_inverting_inverts_the_latent_mask(server: ComfyServer):
    plain, inverted = (
        server.picture(server.run_well(preview(mask_source=source)), "saved")[..., 0].astype(int)
        for source in ("mask", "inverted mask")
    )
    assert numpy.abs(plain + inverted - 255).max() <= 1


def test_cropping_to_the_mask_enlarges_what_is_learned(server: ComfyServer):
    plain, cropped = (
        server.picture(server.run_well(preview(crop_to_mask=crop)), "saved")[..., 0].mean() for crop in (False, True)
    )
    assert cropped > 1.5 * plain


def test_with_a_model_the_preview_says_how_long_training_takes(server: ComfyServer) -> None:
    workflow = {**preview(), "model": loaders()["model"], "words": node("PreviewAny", source=["preview", 2])}
    plain = server.run_well(workflow)
    assert plain.text("words").startswith("no estimate: connect the model")
    workflow["preview"]["inputs"]["model"] = ["model", 0]
    estimated = server.run_well(workflow)
    time, memory = estimated.text("words").splitlines()
    assert time.startswith("time: about ") and " for 600 steps, " in time and memory.startswith("memory: about ")
    heights = [server.picture(finished, "preview").shape[0] for finished in (plain, estimated)]
    assert heights[0] < heights[1], "it stands below the picture"
