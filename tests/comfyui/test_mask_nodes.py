"""Mask Source and Shape Training Mask do what their choices say, on a picture as Load Image gives it."""

from __future__ import annotations

import numpy
import pytest
from comfyui_server import ComfyServer
from workflows import REFERENCE, Workflow, node

# In REFERENCE, rows 24 to 71 of columns 32 to 63 are transparent.
TRANSPARENT = numpy.zeros((96, 96), dtype=bool)
TRANSPARENT[24:72, 32:64] = True

SOURCES = {
    "MASK as it is: white is learned": TRANSPARENT,
    "MASK inverted: black is learned (Load Image: opaque pixels are learned)": ~TRANSPARENT,
    "alpha of the image: opaque pixels are learned": ~TRANSPARENT,
    "alpha of the image: transparent pixels are learned": TRANSPARENT,
}

NO_SHAPING = {
    "invert": False,
    "threshold": 0.0,
    "smallest_speck": 0,
    "fill_holes": False,
    "grow": 0,
    "feather": 0.0,
    "floor": 0.0,
}


def shown(mask: list) -> Workflow:
    return {"mask_picture": node("MaskToImage", mask=mask), "saved": node("PreviewImage", images=["mask_picture", 0])}


def from_source(source: str) -> Workflow:
    """Join Image with Alpha undoes what Load Image did: its IMAGE has the alpha channel of the file again."""
    return {
        "reference": node("LoadImage", image=REFERENCE),
        "with_alpha": node("JoinImageWithAlpha", image=["reference", 0], alpha=["reference", 1]),
        "source": node("AnimaFastTrainMaskSource", source=source, mask=["reference", 1], image=["with_alpha", 0]),
        **shown(["source", 0]),
    }


@pytest.mark.parametrize("source", SOURCES)
def test_the_choice_says_which_part_of_the_picture_is_learned(server: ComfyServer, source: str):
    mask = server.picture(server.run_well(from_source(source)), "saved")[..., 0]
    assert numpy.array_equal(mask, numpy.where(SOURCES[source], 255, 0))


def test_colours_of_a_picture_become_a_mask(server: ComfyServer):
    red, bright = (
        server.picture(server.run_well(from_source(source)), "saved")[..., 0].astype(int)
        for source in (
            "red of the image: white is learned, 127 counts half (sd-scripts)",
            "brightness of the image: bright pixels are learned",
        )
    )
    # Red grows from left to right, blue from right to left, green from top to bottom.
    assert red[0, 0] == 0
    assert red[0, 95] == 255
    assert bright[0, 0] == pytest.approx(0.114 * 255, abs=1)


def test_a_source_that_is_not_wired_is_one_sentence(server: ComfyServer):
    workflow = from_source("alpha of the image: opaque pixels are learned")
    workflow["source"]["inputs"]["image"] = ["reference", 0]
    assert "the picture has none" in server.run(workflow).error
    del workflow["source"]["inputs"]["image"]
    assert "reads a picture, but none came" in server.run(workflow).error


def test_a_mask_grows_and_is_inverted_at_full_resolution(server: ComfyServer):
    workflow = from_source("MASK as it is: white is learned")
    workflow["shape"] = node("AnimaFastTrainShapeMask", mask=["source", 0], **{**NO_SHAPING, "grow": 5})
    workflow |= shown(["shape", 0])
    grown = server.picture(server.run_well(workflow), "saved")[..., 0] == 255
    assert grown[19:77, 32:64].all()
    assert not grown[18].any()
    assert not grown[19, 27], "corners are round"
    workflow["shape"]["inputs"].update(grow=0, invert=True)
    assert numpy.array_equal(server.picture(server.run_well(workflow), "saved")[..., 0] == 255, ~TRANSPARENT)


def test_the_defaults_of_shaping_change_nothing(server: ComfyServer):
    workflow = from_source("MASK as it is: white is learned")
    workflow["shape"] = node("AnimaFastTrainShapeMask", mask=["source", 0], **NO_SHAPING)
    workflow |= shown(["shape", 0])
    assert numpy.array_equal(server.picture(server.run_well(workflow), "saved")[..., 0] == 255, TRANSPARENT)
