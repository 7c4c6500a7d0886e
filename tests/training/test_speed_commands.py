"""What `bench` and `estimate` count is what a step does, and they say what they were asked."""

from __future__ import annotations

import functools
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry
from typer.testing import CliRunner

from anima_fast_train.training.command_line.application import app
from anima_fast_train.training.fast_path.block import Kept, through_block
from anima_fast_train.training.measurements import compiled, endurance, scale
from anima_fast_train.training.measurements.bench import BareStep
from anima_fast_train.training.measurements.bench_model import ANIMA, Preset, RandomBackbone
from anima_fast_train.training.miniature.architecture import MiniatureTransformer, TransformerSize

SMALL = Preset(
    TransformerSize(model_channels=64, num_blocks=3, num_heads=2, crossattn_emb_channels=48, adaln_lora_dim=16),
    side=256,
    prompt_length=64,
    dtype=torch.float32,
    batch=2,
)


def attention(q: tuple[int, ...], k: tuple[int, ...], *_: object, products: int = 2, **__: object) -> int:
    rows, heads, length, dim = q
    return 2 * products * rows * heads * length * k[2] * dim


class Operations(TorchDispatchMode):
    """Counts as torch's counter does, which leaves out attention on a CPU and does not go through a backward pass
    within another."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        packet = function._overloadpacket
        if packet is torch.ops.aten._scaled_dot_product_flash_attention_for_cpu:
            self.total += attention(args[0].shape, args[1].shape)
        elif packet is torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward:
            # The scores again, then the gradients of weights, queries, keys and values.
            self.total += attention(args[1].shape, args[2].shape, products=5)
        elif packet in flop_registry:
            self.total += flop_registry[packet](*args, **(kwargs or {}), out_val=out)
        return out


@pytest.mark.parametrize("kept", list(Kept))
def test_operations_counted_from_the_shapes_are_those_that_a_step_does(kept: Kept) -> None:
    backbone = RandomBackbone(SMALL, torch.device("cpu"))
    backbone.kept = [kept] * 3
    step, shape = BareStep(backbone), SMALL.shape()
    with Operations() as forward:
        loss = step.forward()
    with Operations() as backward:
        loss.backward()
    assert forward.total == pytest.approx(shape.forward(), rel=0.01)
    assert backward.total == pytest.approx(shape.backward(backbone.kept), rel=0.02)


def test_parameters_are_counted_too() -> None:
    with torch.device("meta"):
        expected = sum(weight.numel() for weight in MiniatureTransformer(ANIMA).parameters() if weight.ndim > 1)
    shape = Preset(ANIMA, 512, 512, torch.bfloat16).shape()
    assert shape.parameters == pytest.approx(expected, rel=0.001)
    assert 1.9e9 < expected < 2.1e9  # "about two billion"


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_bench_says_what_it_measured() -> None:
    options = ("--size", "64", "--batch", "1", "--blocks", "2", "--rounds", "1", "--kept", "no_hidden", "--json")
    result = json.loads(run("bench", *options))
    assert (result["blocks"], result["side"], result["batch"], result["kept"]) == (2, 64, 1, "NO_HIDDEN")
    assert result["forward"] > 0 and result["backward"] > 0 and result["plain_step"] > 0
    assert result["floor"] == pytest.approx(result["operations"] / result["matrix_per_second"])
    assert 0 < result["peak_bytes"] < result["plain_peak_bytes"]


@pytest.fixture
def traced_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks are traced, forward and backward, and run without a C compiler, which takes half a minute."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))


@pytest.mark.usefixtures("traced_alone")
def test_compiled_blocks_have_the_same_gradients() -> None:
    backbone = RandomBackbone(SMALL, torch.device("cpu"))
    step = BareStep(backbone)
    found = []
    for through in (through_block, torch.compile(through_block, dynamic=False)):
        backbone.through = through
        found.append(torch.autograd.grad(step.forward(), step.tokens)[0])
    plain, compiled_gradients = found
    assert float((compiled_gradients - plain).norm() / plain.norm()) < 1e-4


def test_where_nothing_can_be_compiled_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (None, "/no/compiler"))
    result = CliRunner().invoke(app, ["bench", "--compiled", "--size", "32", "--batch", "1", "--blocks", "1"])
    assert str(result.exception).startswith("--compiled came, but torch.compile fails here: InvalidCxxCompiler")


@pytest.mark.usefixtures("traced_alone")
def test_compiled_blocks_are_timed_beside_others() -> None:
    said = run("bench", "--compiled", "--size", "32", "--batch", "1", "--blocks", "1", "--rounds", "1")
    assert re.match(r"a step: [\d.e-]+ s, with compiled blocks [\d.e-]+ s, which is [\d.]+ of it; memory above", said)


@pytest.mark.parametrize(
    ("plain", "fused", "expected"), [((1.0, 0.5), (11.0, 0.4), 100), ((1.0, 0.5), (11.0, 0.5), math.inf)]
)
def test_compiling_is_won_back_by_faster_steps(
    plain: tuple[float, float], fused: tuple[float, float], expected: float
) -> None:
    result = compiled.Compiling(*(compiled.OneWay(*each, peak_bytes=0) for each in (plain, fused)))
    assert result.won_back_after == pytest.approx(expected)


def test_an_estimate_names_all_levels_and_what_fits() -> None:
    lines = run("estimate", "--size", "512", "--batch", "4", "--free", "4").splitlines()
    assert [line.split(":")[0] for line in lines[1:]] == [
        *(kept.name.lower() for kept in Kept),
        "chosen for what is free",
    ]
    assert float(lines[-1].split(": ")[1].split(" GiB")[0]) < 4
    memory = [float(line.split(": ")[1].split(" GiB")[0]) for line in lines[1:-1]]
    assert memory == sorted(memory, reverse=True)


def test_the_cost_of_each_axis_is_measured_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "SIDES", (1, 2))
    options = [
        "--axis",
        "size",
        "--axis",
        "references",
        "--blocks",
        "1",
        "--size",
        "32",
        "--batch",
        "1",
        "--rounds",
        "1",
    ]
    lines = run("bench-scale", *options, "--output", str(tmp_path)).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        *("| size 32", "| size 64"),
        *("| references 1", "| references 4", "| references 16", "| references 64"),
    ]
    costs = json.loads((tmp_path / "scale.json").read_text())
    small, large = costs[:2]
    assert large["floor"] > 2 * small["floor"] and large["peak_bytes"] > small["peak_bytes"]
    with Image.open(tmp_path / "scale.png") as picture:
        assert picture.width > picture.height


def test_many_steps_are_reported_by_tenths() -> None:
    said = run("bench-endurance", "--size", "32", "--batch", "1", "--blocks", "1", "--steps", "20")
    beside = "time a step beside runs that have just begun"
    assert re.match(rf"from 4 to 20 steps: [+-][\d.]+% {beside}, [+-][\d.]+ MiB; parts took [\d.]+ to", said)


@pytest.mark.parametrize(
    ("seconds", "young", "expected"),
    [
        ([1.0, 1.0, 1.0, 1.0, 1.0], [1.0] * 5, 0.0),
        ([1.0, 1.0, 1.0, 1.0, 9.0], [1.0] * 5, 0.0),
        ([1.0, 1.1, 1.2, 1.3, 1.4], [1.0] * 5, 0.4 / 1.2),
        ([1.0, 1.1, 1.2, 1.3, 1.4], [1.0, 1.1, 1.2, 1.3, 1.4], 0.0),
    ],
    ids=["even", "other work for a while", "slower and slower", "a machine that grows slower"],
)
def test_a_drift_is_one_of_all_parts(seconds: list[float], young: list[float], expected: float) -> None:
    times = zip(seconds, young, strict=True)
    parts = [endurance.Part(100 * number, *each, 0.0) for number, each in enumerate(times, start=1)]
    assert endurance.drift(parts) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("bench", "--width", "100"), "width is 100, expected a multiple of 128"),
        (("bench", "--vae", "x"), "--vae came without --comfyui, which reads it"),
        (
            ("bench", "--comfyui", "--model", "x"),
            "--clip is missing, expected --model, --clip and --vae with --comfyui",
        ),
        (
            ("bench", "--compiled", "--kept", "input"),
            "--kept input came with --compiled, expected all: torch decides what is kept",
        ),
        (("bench", "--whole"), "--whole came without --comfyui, beside which it times whole runs"),
        (("bench-scale", "--axis", "depth"), "axis is 'depth', expected one of: size, tokens, references, batch"),
        (("bench-endurance", "--steps", "15"), "steps is 15, expected a multiple of 10"),
    ],
)
def test_what_cannot_be_timed_is_said(arguments: tuple[str, ...], sentence: str) -> None:
    result = CliRunner().invoke(app, list(arguments))
    assert str(result.exception) == sentence


def test_a_width_of_its_own_is_counted() -> None:
    first = run("estimate", "--width", "256", "--blocks", "1").splitlines()[0]
    assert "million weights" in first and int(first.split(", ")[2].split()[0]) < 10
