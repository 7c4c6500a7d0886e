"""How fast a step is and what it takes, measured (`bench`, `bench-scale`, `bench-endurance`) and foretold
(`estimate`)."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from enum import Enum
from pathlib import Path
from typing import Annotated

import torch
import typer

from ..fast_path.block import Kept
from ..fast_path.memory_plan import computed_again
from ..files.atomic_file import write_atomically
from ..measurements import bench, beside_comfyui, compiled, endurance, scale
from ..measurements.bench_model import PRESETS, Preset, with_blocks, with_width
from ..settings import TrainingSettings
from .anima_files import File, anima_files
from .measuring import require_positive, say
from .output_folder import require_writable
from .train_command import Output

PresetName = Enum("PresetName", {name: name for name in PRESETS}, type=str)  # type: ignore[misc]
KeptName = Enum("KeptName", {kept.name: kept.name.lower() for kept in Kept}, type=str)  # type: ignore[misc]
Precision = Enum("Precision", {name: name for name in ("fp32", "bf16")}, type=str)  # type: ignore[misc]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
GIB = 2**30

Name = Annotated[PresetName, typer.Option("--preset", help="The model and the picture.")]
Side = Annotated[int, typer.Option("--size", help="Training image size in pixels; 0 is the preset's.")]
Batch = Annotated[int, typer.Option(help="Rows of a batch; 0 is the preset's.")]
Blocks = Annotated[int, typer.Option(help="Depth; 0 is the preset's. Less of it for a device that is slow.")]
Width = Annotated[int, typer.Option(help="Vectors of the model, a multiple of 128; 0 is the preset's.")]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]
PrecisionOption = Annotated[Precision | None, typer.Option(help="What is computed in; the preset's by default.")]


def preset_of(name: str, size: int, batch: int, blocks: int, precision: Precision | None, width: int = 0) -> Preset:
    """Raises ValueError for numbers below 0, sides that are no multiple of 16 and widths that are none of 128."""
    for option, value in (("size", size), ("batch", batch), ("blocks", blocks), ("width", width)):
        if value < 0:
            raise ValueError(f"{option} is {value}, expected 1 or more, or 0 for the preset's")
    preset = PRESETS[name]
    if size % 16:
        raise ValueError(f"size is {size}, expected a multiple of 16")
    if width % 128:
        raise ValueError(f"width is {width}, expected a multiple of 128")
    preset = replace(preset, side=size or preset.side, batch=batch or preset.batch)
    if precision is not None:
        preset = replace(preset, dtype=DTYPES[precision.value])
    preset = with_width(preset, width) if width else preset
    return with_blocks(preset, blocks) if blocks else preset


def device_called(name: str) -> torch.device:
    """Raises ValueError for one that is not there."""
    if name not in ("cpu", "cuda") or name == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device is {name!r}, expected cpu, or cuda where torch finds one")
    return torch.device(name)


def bench_command(
    preset: Name = PresetName["miniature"],
    device: Device = "cpu",
    size: Side = 0,
    batch: Batch = 0,
    blocks: Blocks = 0,
    width: Width = 0,
    precision: PrecisionOption = None,
    kept: Annotated[KeptName, typer.Option(help="What blocks keep for the backward pass.")] = KeptName["ALL"],
    rounds: Annotated[int, typer.Option(help="Steps of each kind, in turn.")] = 5,
    comfyui: Annotated[
        bool,
        typer.Option(
            "--comfyui",
            help="Time ComfyUI's own Train LoRA node beside it instead, in the ComfyUI of COMFYUI_DIR, on the Anima of "
            "three files.",
        ),
    ] = False,
    model: File = None,
    clip: File = None,
    vae: File = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="With --comfyui: whole runs at the default settings, over their steps.")
    ] = False,
    compile_blocks: Annotated[
        bool,
        typer.Option("--compiled", help="Time the step with blocks compiled by torch.compile beside it instead."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Time a training step beside the ceilings of the device and beside a plain loop; random weights, no download."""
    require_positive(rounds=rounds)
    chosen = preset_of(preset.value, size, batch, blocks, precision, width)
    files = anima_files("--comfyui", comfyui, {"model": model, "clip": clip, "vae": vae})
    if files is not None:
        if blocks or width:
            raise ValueError("--blocks or --width came with --comfyui, whose model is that of the file")
        if compile_blocks:
            raise ValueError("--compiled came with --comfyui, expected one of them")
        of_dtype = {dtype: name for name, dtype in DTYPES.items()}[chosen.dtype]
        rows = batch or (TrainingSettings().batch_size if whole else 1)
        asked = beside_comfyui.Asked(chosen.side, rows, of_dtype, kept.name, rounds, whole)
        beside = beside_comfyui.measure(files, asked, device_called(device))
        typer.echo(json.dumps(asdict(beside), indent=2) if as_json else beside_comfyui.table(beside))
        return
    if whole:
        raise ValueError("--whole came without --comfyui, beside which it times whole runs")
    if compile_blocks:
        if kept != KeptName["ALL"]:
            raise ValueError(f"--kept {kept.value} came with --compiled, expected all: torch decides what is kept")
        compiling = compiled.measure(chosen, device_called(device), rounds)
        typer.echo(json.dumps(asdict(compiling), indent=2) if as_json else compiled.table(compiling))
        return
    result = bench.measure(preset.value, chosen, device_called(device), Kept[kept.name], rounds)
    typer.echo(json.dumps(asdict(result), indent=2) if as_json else bench.table(result))


def bench_scale_command(
    preset: Name = PresetName["miniature"],
    axis: Annotated[
        list[str] | None, typer.Option(help=f"One of: {', '.join(scale.AXES)}; repeat the option for several.")
    ] = None,
    device: Device = "cpu",
    size: Side = 0,
    batch: Batch = 0,
    blocks: Blocks = 0,
    width: Width = 0,
    precision: PrecisionOption = None,
    rounds: Annotated[int, typer.Option(help="Steps of each kind.")] = 3,
    output: Output = Path("output/bench-scale"),
) -> None:
    """Time how a step grows with the picture, the tokens, the references and the batch, one at a time."""
    require_positive(rounds=rounds)
    for name in axis or ():
        if name not in scale.AXES:
            raise ValueError(f"axis is {name!r}, expected one of: {', '.join(scale.AXES)}")
    chosen, where = preset_of(preset.value, size, batch, blocks, precision, width), device_called(device)
    folder = require_writable(output)
    costs = scale.measure(chosen, axis or list(scale.AXES), where, rounds, say)
    depth = "1 block" if chosen.size.num_blocks == 1 else f"{chosen.size.num_blocks} blocks"
    title = (
        f"A step at width {chosen.size.model_channels}, {depth}, {chosen.side} px, "
        f"batch {chosen.batch}, {chosen.tokens} tokens, {device}"
    )
    write_atomically(folder / "scale.json", (json.dumps([asdict(each) for each in costs], indent=1) + "\n").encode())
    write_atomically(folder / "scale.png", scale.plot(costs, title))
    typer.echo(scale.table(costs))


def bench_endurance_command(
    preset: Name = PresetName["miniature"],
    device: Device = "cpu",
    size: Side = 0,
    batch: Batch = 0,
    blocks: Blocks = 0,
    steps: Annotated[int, typer.Option(help="A multiple of ten.")] = 10_000,
) -> None:
    """Run very many steps and say whether they slow down or grow."""
    if steps < endurance.PARTS or steps % endurance.PARTS:
        raise ValueError(f"steps is {steps}, expected a multiple of {endurance.PARTS}")
    chosen = preset_of(preset.value, size, batch, blocks, None)
    typer.echo(endurance.verdict(endurance.measure(chosen, device_called(device), steps, say)))


def estimate_command(
    preset: Name = PresetName["anima-512"],
    size: Side = 0,
    batch: Batch = 0,
    blocks: Blocks = 0,
    width: Width = 0,
    precision: PrecisionOption = None,
    free: Annotated[float, typer.Option(help="GiB that are free beside the weights; 0 does not choose.")] = 0.0,
) -> None:
    """Foretell the memory and the operations of a training step, for each amount that blocks may keep."""
    if free < 0:
        raise ValueError(f"free is {free}, expected GiB, or 0")
    chosen = preset_of(preset.value, size, batch, blocks, precision, width)
    shape, activations = chosen.shape(), chosen.activations()
    weights = shape.parameters * chosen.dtype.itemsize
    typer.echo(
        f"{preset.value}: {chosen.side} px, batch {chosen.batch}, {shape.parameters / 1e6:.0f} million weights, "
        f"{weights / GIB:.2f} GiB"
    )
    plans = [(each.name.lower(), [each] * shape.blocks) for each in Kept]
    if free:
        plans.append(("chosen for what is free", activations.fitting(free * GIB)))
    for name, kept in plans:
        needed = activations.of_step(kept)
        typer.echo(
            f"{name}: {needed / GIB:.2f} GiB above the weights, {(weights + needed) / GIB:.2f} in all; "
            f"{shape.step(kept) / 1e12:.3g} T operations a step, {computed_again(kept):.0%} of a forward pass twice"
        )
