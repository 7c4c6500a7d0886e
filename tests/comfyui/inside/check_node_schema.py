"""A node says what this ComfyUI has fields for, and works where an older one lacks some."""

from __future__ import annotations

from dataclasses import dataclass, field
from unittest.mock import patch

from anima_fast_train.nodes import node_schema
from anima_fast_train.nodes.example_reference_node import ExampleReference
from anima_fast_train.nodes.train_node import MaskTrainContextTokens


@dataclass
class OlderSchema:
    """As before words for the search came to ComfyUI."""

    node_id: str
    display_name: str = ""
    category: str = ""
    description: str = ""
    is_output_node: bool = False
    inputs: list = field(default_factory=list)
    outputs: list = field(default_factory=list)


def check_this_comfyui_is_told_all():
    schema = MaskTrainContextTokens.define_schema()
    assert "ipadapter" in schema.search_aliases and schema.has_intermediate_output
    assert schema.category == "AnimaFastTrain/train"


def check_an_older_comfyui_is_told_what_it_knows():
    with patch.object(node_schema.io, "Schema", OlderSchema):
        schema = MaskTrainContextTokens.define_schema()
    assert schema.node_id == "AnimaFastTrainMaskedReferenceContext" and len(schema.inputs) > 10


def check_what_no_comfyui_knows_is_not_dropped_in_silence():
    try:
        node_schema.node_schema(node_id="x", no_such_field=1)
    except TypeError:
        return
    raise AssertionError("a misspelt field was taken")


def check_the_example_is_handed_on_with_its_mask():
    image, mask, prompt = ExampleReference.execute().args
    assert image.shape[0] == 1 and image.shape[-1] == 3 and mask.shape == image.shape[:3]
    assert min(image.shape[1:3]) >= 512 and 0.25 < float(mask.mean()) < 0.5 and prompt.startswith("1girl")
    assert set(mask.flatten().tolist()) & {0.0, 1.0} == {0.0, 1.0}


def check_ones_own_picture_takes_the_place_of_the_example():
    image, mask, _ = ExampleReference.execute().args
    own_image, own_mask, prompt = ExampleReference.execute(own_image=image * 0, own_mask=mask * 0).args
    assert float(own_image.max()) == 0 and float(own_mask.max()) == 0 and prompt == "1girl, solo"
