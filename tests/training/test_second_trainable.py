"""Something else than tokens, a bias for each block, trains, resumes and is measured without a line of the trainer
knowing it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from anima_fast_train.training import EncodedReference, TrainingInfo, TrainingSettings, describe
from anima_fast_train.training.diffusion.parametrisation import RectifiedFlow
from anima_fast_train.training.result import StepReport
from anima_fast_train.training.resuming.run_state import CheckpointPlan, TrainingState
from anima_fast_train.training.trainer import Trainer

BLOCKS, CHANNELS = 3, 4
SETTINGS = TrainingSettings(
    steps=30, learning_rate="0.05", batch_size=2, noise_pool=16, evaluations=3, prior_weight=1.0, seed=3
)
MakeReference = Callable[..., EncodedReference]


@dataclass(frozen=True)
class TrainedBias:
    """What goes on the wire."""

    bias: Tensor
    info: TrainingInfo
    noun: ClassVar[str] = "bias"
    larger: ClassVar[str] = "more biases"
    prompt_words: ClassVar[str] = ""

    def summary(self) -> str:
        return f"bias: {list(self.bias.shape)}"


class BlockBias:
    """A vector for each block, [BLOCKS,CHANNELS]."""

    def __init__(self) -> None:
        self.leaves = [torch.zeros(BLOCKS, CHANNELS, requires_grad=True)]

    def at(self, level: Tensor, kept: dict[str, Tensor] | None = None) -> Tensor:
        return self.leaves[0] if kept is None else kept["bias"]

    def unlearned(self, level: Tensor) -> None:
        return None

    def after_step(self) -> None:
        pass

    def kept(self) -> dict[str, Tensor]:
        return {"bias": self.leaves[0].detach().clone()}

    @torch.no_grad()
    def reset_to(self, kept: dict[str, Tensor]) -> None:
        self.leaves[0].copy_(kept["bias"])

    def state(self) -> dict[str, Tensor]:
        return {"bias": self.leaves[0].detach()}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        self.reset_to(tensors)

    def export(self, kept: dict[str, Tensor], info: TrainingInfo) -> TrainedBias:
        return TrainedBias(kept["bias"].cpu(), info)


class BiasedBackbone(RectifiedFlow):
    """Mixes the channels of each cell, block by block; a bias is added after each block."""

    model_family, size_multiple, level_shift = "biased", 16, 1.0

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(5)
        self.mixes = torch.randn(BLOCKS, CHANNELS, CHANNELS, generator=generator) / 3

    def predict(self, x_t: Tensor, level: Tensor, conditioning: Any, trained: Tensor | None = None) -> Tensor:
        cells = x_t.movedim(1, -1)
        for block in range(BLOCKS):
            cells = cells @ self.mixes[block] + (0 if trained is None else trained[block])
        return cells.movedim(-1, 1)


def trainer(references: list[EncodedReference]) -> Trainer:
    generator = torch.Generator().manual_seed(SETTINGS.seed)
    return Trainer(BiasedBackbone(), BlockBias(), references, SETTINGS, generator)  # type: ignore[arg-type]


@pytest.mark.parametrize("five", [False, True])
def test_a_bias_trains_and_is_measured(encoded: MakeReference, five: bool) -> None:
    result = trainer([encoded(five=five)]).run()
    assert isinstance(result.trained, TrainedBias)
    assert result.trained.bias.abs().min() > 0
    assert result.after.inside < 0.9 * result.before.inside
    assert result.after.leak > 0
    assert result.trained.info.inside_after == result.after.inside
    assert result.trained.info.model_family == "biased"
    assert "bias: [3, 4]" in describe(result)


def test_a_cancelled_bias_goes_on_to_the_same_bits(encoded: MakeReference, tmp_path: Path) -> None:
    whole = trainer([encoded()]).run()
    plan = CheckpointPlan(tmp_path / "run.safetensors", every=100)

    def cancel(report: StepReport) -> None:
        if report.step == 13:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer([encoded()]).run(cancel, plan)
    resumed = trainer([encoded()])
    resumed.load_state(TrainingState.load(plan.path))
    assert resumed.position.done == 13
    result = resumed.run()
    assert torch.equal(result.trained.bias, whole.trained.bias)
    assert (result.history, result.kept_step) == (whole.history, whole.kept_step)


def test_one_state_resumes_twice_to_the_same_bits(encoded: MakeReference) -> None:
    first = trainer([encoded()])
    for rate in first.rates[:10]:
        first.step(rate)
    state = first.state()
    results = []
    for _ in range(2):
        again = trainer([encoded()])
        again.load_state(state)
        results.append(again.run().trained.bias)
    assert torch.equal(*results)
