"""How the cost of a step grows with the picture, the tokens, the references and the batch, one at a time."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from .bench import GIB, LEAST_CEILING_ROWS, bare_trainer
from .bench_model import Preset, RandomBackbone
from .ceilings import matrix_ceiling, seconds_of
from .step_memory import memory_of

SIDES = (0.5, 1, 1.5, 2, 3)  # of the preset's
AXES: dict[str, Callable[[Preset], Sequence[int]]] = {
    "size": lambda preset: [max(1, round(preset.side * share / 16)) * 16 for share in SIDES],
    "tokens": lambda preset: (1, 4, 16, 64, 256),
    "references": lambda preset: (1, 4, 16, 64),
    "batch": lambda preset: (1, 2, 4, 8, 16),
}
UNITS = {"size": "pixels a side", "tokens": "tokens a block", "references": "references", "batch": "rows a batch"}
RATE = 1e-3
MEASURED, FORETOLD = "#3b6ea8", "#c2185b"


@dataclass(frozen=True)
class Cost:
    """Of a step where `axis` has this value and the rest is as the preset says. seconds is a median; floor is what the
    operations take at the device's matrix ceiling; bytes are above the weights."""

    axis: str
    value: int
    seconds: float
    floor: float
    peak_bytes: int
    predicted_bytes: int


def measure(
    preset: Preset, axes: Sequence[str], device: torch.device, rounds: int, say: Callable[[str], None]
) -> list[Cost]:
    """Each value of each axis, one after the other."""
    rows = max(LEAST_CEILING_ROWS, preset.batch * preset.positions)
    ceiling = matrix_ceiling(rows, preset.size.model_channels, preset.dtype, device)
    costs = []
    for axis in axes:
        for value in AXES[axis](preset):
            costs.append(cost(preset, axis, value, device, rounds, ceiling))
            say(f"{axis} {value}: {costs[-1].seconds:.3g} s a step")
    return costs


def cost(preset: Preset, axis: str, value: int, device: torch.device, rounds: int, ceiling: float) -> Cost:
    """ceiling: operations a second."""
    chosen = preset
    if axis != "references":
        chosen = replace(preset, **{{"size": "side"}.get(axis, axis): value})  # type: ignore[arg-type]
    backbone = RandomBackbone(chosen, device)
    trainer = bare_trainer(backbone, rounds + 2, value if axis == "references" else 1)
    return Cost(
        axis=axis,
        value=value,
        seconds=seconds_of(lambda: trainer.step(RATE), device, rounds),
        floor=chosen.shape().step(backbone.kept) / ceiling,
        peak_bytes=memory_of(lambda: trainer.step(RATE), device).peak,
        predicted_bytes=chosen.activations().of_step(backbone.kept),
    )


def table(costs: Sequence[Cost]) -> str:
    lines = ["| | seconds a step | at the matrix ceiling | GiB above the weights | foretold |", "|---|---|---|---|---|"]
    lines += [
        f"| {each.axis} {each.value} | {each.seconds:.3g} | {each.floor:.3g} | {each.peak_bytes / GIB:.3g} | "
        f"{each.predicted_bytes / GIB:.3g} |"
        for each in costs
    ]
    return "\n".join(lines)


def plot(costs: Sequence[Cost], title: str) -> bytes:
    """A PNG: seconds above, memory below, a column for each axis; lines are what was foretold."""
    import matplotlib.figure

    axes = list(dict.fromkeys(each.axis for each in costs))
    figure = matplotlib.figure.Figure(figsize=(3.6 * len(axes) + 0.6, 6.4), layout="constrained")
    figure.suptitle(title)
    panels: Any = figure.subplots(2, len(axes), squeeze=False, sharex="col", sharey="row")
    for column, axis in enumerate(axes):
        of_axis = [each for each in costs if each.axis == axis]
        values = [each.value for each in of_axis]
        seconds, memory = panels[:, column]
        seconds.plot(values, [each.floor for each in of_axis], "--", color=FORETOLD, label="at the matrix ceiling")
        seconds.plot(values, [each.seconds for each in of_axis], "o-", color=MEASURED, label="measured")
        memory.plot(values, [each.predicted_bytes / GIB for each in of_axis], "--", color=FORETOLD, label="foretold")
        memory.plot(values, [each.peak_bytes / GIB for each in of_axis], "o-", color=MEASURED, label="measured")
        for panel in (seconds, memory):
            panel.set_xscale("log", base=2)
            panel.set_yscale("log")
            panel.set_xticks(values, labels=[str(value) for value in values])
            panel.minorticks_off()
            panel.grid(alpha=0.3)
        memory.set_xlabel(UNITS[axis])
    panels[0][0].set_ylabel("seconds a step")
    panels[1][0].set_ylabel("GiB above the weights")
    panels[0][0].legend()
    panels[1][0].legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
