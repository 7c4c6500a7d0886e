"""How fast a step is and what it takes, measured (`bench`) and foretold (`estimate`)."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from enum import Enum
from typing import Annotated

import torch
import typer

from ..fast_path.block import Kept
from ..fast_path.memory_plan import computed_again
from ..measurements import bench
from ..measurements.bench_model import PRESETS, Preset, with_blocks

PresetName = Enum("PresetName", {name: name for name in PRESETS}, type=str)  # type: ignore[misc]
KeptName = Enum("KeptName", {kept.name: kept.name.lower() for kept in Kept}, type=str)  # type: ignore[misc]
Precision = Enum("Precision", {name: name for name in ("fp32", "bf16")}, type=str)  # type: ignore[misc]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
GIB = 2**30

Name = Annotated[PresetName, typer.Option("--preset", help="The model and the picture.")]
Side = Annotated[int, typer.Option("--size", help="Training image size in pixels; 0 is the preset's.")]
Batch = Annotated[int, typer.Option(help="Rows of a batch; 0 is the preset's.")]
Blocks = Annotated[int, typer.Option(help="Depth; 0 is the preset's. Less of it for a device that is slow.")]
PrecisionOption = Annotated[Precision | None, typer.Option(help="What is computed in; the preset's by default.")]


def preset_of(name: str, size: int, batch: int, blocks: int, precision: Precision | None) -> Preset:
    """Raises ValueError for numbers below 0 and sides that are no multiple of 16."""
    for option, value in (("size", size), ("batch", batch), ("blocks", blocks)):
        if value < 0:
            raise ValueError(f"{option} is {value}, expected 1 or more, or 0 for the preset's")
    preset = PRESETS[name]
    if size % 16:
        raise ValueError(f"size is {size}, expected a multiple of 16")
    preset = replace(preset, side=size or preset.side, batch=batch or preset.batch)
    if precision is not None:
        preset = replace(preset, dtype=DTYPES[precision.value])
    return with_blocks(preset, blocks) if blocks else preset


def bench_command(
    preset: Name = PresetName["miniature"],
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    size: Side = 0,
    batch: Batch = 0,
    blocks: Blocks = 0,
    precision: PrecisionOption = None,
    kept: Annotated[KeptName, typer.Option(help="What blocks keep for the backward pass.")] = KeptName["ALL"],
    rounds: Annotated[int, typer.Option(help="Steps of each kind, in turn.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Time a training step beside the ceilings of the device and beside a plain loop; random weights, no download."""
    if rounds < 1:
        raise ValueError(f"rounds is {rounds}, expected 1 or more")
    if device not in ("cpu", "cuda") or device == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device is {device!r}, expected cpu, or cuda where torch finds one")
    chosen = preset_of(preset.value, size, batch, blocks, precision)
    result = bench.measure(preset.value, chosen, torch.device(device), Kept[kept.name], rounds)
    typer.echo(json.dumps(asdict(result), indent=2) if as_json else bench.table(result))


def estimate_command(
    preset: Name = PresetName["anima-512"],
    size: Side = 0,
    batch: Batch = 0,
    blocks: Blocks = 0,
    precision: PrecisionOption = None,
    free: Annotated[float, typer.Option(help="GiB that are free beside the weights; 0 does not choose.")] = 0.0,
) -> None:
    """Foretell the memory and the operations of a training step, for each amount that blocks may keep."""
    if free < 0:
        raise ValueError(f"free is {free}, expected GiB, or 0")
    chosen = preset_of(preset.value, size, batch, blocks, precision)
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
