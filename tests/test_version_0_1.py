"""What version 0.1 wrote still opens: its contexts, its checkpoints, its workflows. The files here were written by
it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "training"))

from saved_workflow import AFTER_GENERATE, NOTES, SavedWorkflow, inputs_of, recorded_object_info
from small_backbone import TinyBackbone, tiny_reference

from anima_fast_train.training import ReferenceContext, TrainingSettings, train_context_tokens
from anima_fast_train.training.resuming.run_state import TrainingState

OLD = Path(__file__).parent / "version_0_1"
WORKFLOWS = sorted((OLD / "workflows").glob("*.json"))
OBJECT_INFO = recorded_object_info()
SETTINGS = TrainingSettings(
    steps=24,
    prior_weight=1.6,
    num_tokens=3,
    negative_tokens=2,
    time_ranges=2,
    ema=0.9,
    learning_rate="0.1:0.5, 0.05",
    batch_size=2,
    noise_pool=16,
    evaluations=4,
    init_text="ab",
    emphasis_weight=3.0,
    guidance=2.0,
    seed=5,
    token_norm="raw",
    subject_words="",
    token_attention="shared",
)


def test_a_context_opens_with_all_that_it_says() -> None:
    context = ReferenceContext.load(OLD / "context.safetensors")
    assert (context.num_blocks, context.positive.count, context.context_dim, context.ranges) == (2, 3, 6, 2)
    assert context.negative is not None and context.negative.count == 2
    info = context.info
    assert (info.model_family, info.prompt, info.steps, info.seed) == ("tiny", "ab", 24, 5)
    assert (info.learning_rate, info.pack_version) == ("0.1:0.5, 0.05", "0.1.0")
    assert info.inside_before is not None and info.inside_after is not None and info.inside_after < info.inside_before


def test_a_checkpoint_goes_on_to_the_tokens_that_version_0_1_ended_with() -> None:
    state = TrainingState.load(OLD / "checkpoint.safetensors")
    assert state.record["position"]["done"] == 11
    backbone = TinyBackbone()
    result = train_context_tokens(backbone, [tiny_reference(backbone)], SETTINGS, resume=state)
    expected = ReferenceContext.load(OLD / "context.safetensors").tensors()
    assert result.trained.tensors().keys() == expected.keys()
    for name, tensor in result.trained.tensors().items():  # to the bit on the machine that wrote them
        torch.testing.assert_close(tensor, expected[name], rtol=1e-4, atol=1e-5)


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def workflow(request: pytest.FixtureRequest) -> SavedWorkflow:
    return SavedWorkflow(request.param, OBJECT_INFO)


def test_there_are_all_of_its_workflows() -> None:
    assert len(WORKFLOWS) == 11


def test_its_nodes_are_known_and_its_sockets_of_their_types(workflow: SavedWorkflow) -> None:
    assert {node["type"] for node in workflow.nodes.values()} <= OBJECT_INFO.keys() | NOTES
    for node in workflow.executed_nodes.values():
        definition = workflow.definition(node)
        kinds = [output["type"] for output in node.get("outputs", [])]
        assert definition["output"][: len(kinds)] == kinds, node["type"]
        known = {each.name for each in inputs_of(definition)}
        assert {socket["name"].split(".")[0] for socket in node.get("inputs", [])} <= known, node["type"]


def test_its_widget_values_land_on_the_inputs_that_they_were_saved_from(workflow: SavedWorkflow) -> None:
    for node in workflow.executed_nodes.values():
        inputs = {each.name: each for each in inputs_of(workflow.definition(node))}
        for name, value in workflow.widgets(node).items():
            if name in inputs:
                assert inputs[name].problem_with(value) == "", f"{node['type']}.{name}"
            elif name == AFTER_GENERATE:
                assert value in ("fixed", "increment", "decrement", "randomize")
