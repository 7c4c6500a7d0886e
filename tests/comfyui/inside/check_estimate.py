"""An estimate speaks of the training that is asked for, and leaves the model as it was."""

from __future__ import annotations

from dataclasses import replace

import torch
from small_models import anima, raises

from anima_fast_train.nodes.estimate import Estimate, estimate_training
from anima_fast_train.nodes.options.training_options import TrainingOptions
from anima_fast_train.training.settings import TrainingSettings

SETTINGS = TrainingSettings(batch_size=1, num_tokens=4)


def estimate(settings: TrainingSettings = SETTINGS, side: int = 8, recompute: str = "off") -> Estimate:
    with torch.inference_mode():
        return estimate_training(anima(), (side, side), settings, TrainingOptions(recompute=recompute))


def check_memory_grows_with_batch_and_picture_and_shrinks_where_blocks_are_computed_twice() -> None:
    plain = estimate()
    assert estimate(replace(SETTINGS, batch_size=4)).step_bytes == 4 * plain.step_bytes
    assert estimate(side=16).step_bytes == 4 * plain.step_bytes
    saving = estimate(recompute="on")
    assert saving.step_bytes < plain.step_bytes and saving.computed_again == 1 and plain.computed_again == 0
    assert plain.model_bytes > 1_000_000 and plain.free_bytes > 0 and plain.seconds > 0


def check_the_words_name_time_and_memory() -> None:
    time, memory = replace(estimate(), seconds=0.5, batch_size=4, free_bytes=2**31).in_words(300).splitlines()
    assert time == "time: about 2 min for 300 steps, 0.5 s for one of batch 4", time
    assert memory.startswith("memory: about ") and memory.endswith("2.0 GiB are free beside it"), memory


def check_the_model_is_as_it_was() -> None:
    before = {name: weight.clone() for name, weight in anima().model.state_dict().items()}
    forwards = [block.forward for block in anima().model.diffusion_model.blocks]
    estimate(recompute="on")
    assert all(torch.equal(before[name], weight) for name, weight in anima().model.state_dict().items())
    assert forwards == [block.forward for block in anima().model.diffusion_model.blocks]


def check_another_model_is_refused() -> None:
    with raises(ValueError, "expected Anima"):
        estimate_training(type("Other", (), {"model": None})(), (8, 8), SETTINGS, TrainingOptions())
