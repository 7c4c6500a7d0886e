"""Training shows a subject elsewhere under prompts that name what is behind it, and is judged by views it never saw."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from small_backbone import TinyBackbone
from torch import Tensor

from anima_fast_train.training import (
    Framing,
    ReferenceContext,
    TrainingSettings,
    encode_references,
    make_reference,
    train_context_tokens,
)
from anima_fast_train.training.batches.batch import BatchSource
from anima_fast_train.training.conditioning import Conditioning
from anima_fast_train.training.references.augmentation import HELD_BACK, Augmentation, ImageAugmentation
from anima_fast_train.training.references.background_source import PLACES
from anima_fast_train.training.references.caption import CaptionOptions
from anima_fast_train.training.references.drawn_backgrounds import DRAWING_STEPS
from anima_fast_train.training.references.encode import EncodedReference
from anima_fast_train.training.references.scenery import Scenery
from anima_fast_train.training.reports.summary import describe
from anima_fast_train.training.resuming.run_state import CheckpointPlan, TrainingState

FRAMING = Framing(size=64)
SCENERY = Scenery(
    places=tuple(f"place {letter}" for letter in "cdefghijklmn"),
    empty="empty",
    colours={"red": (255, 0, 0), "gray": (128, 128, 128)},
    plain="{colour} background",
    naming=frozenset({"forest"}),
)


class DrawingTiny(TinyBackbone):
    """Notes which prompts it is given."""

    scenery, guidance = SCENERY, 2.0

    def __init__(self) -> None:
        super().__init__()
        self.prompts: list[str] = []

    def encode_prompt(self, prompt: str) -> Conditioning:
        self.prompts.append(prompt)
        return super().encode_prompt(prompt[::-1])  # which reads three letters, and places differ in the last

    def decode(self, latent: Tensor) -> Tensor:
        colours = ((latent[:, :3] + 1) / 2).clamp(0, 1)
        return torch.nn.functional.interpolate(colours, scale_factor=8).permute(0, 2, 3, 1)


def reference(side: int = 64) -> Any:
    mask = torch.zeros(side, side)
    mask[side // 4 : side * 3 // 4, side // 4 : side // 2] = 1
    image = torch.rand(side, side, 3, generator=torch.Generator().manual_seed(1)) * 0.5
    image[mask > 0] = torch.tensor([0.9, 0.7, 0.1])
    return make_reference(image, mask, "a girl, smile, forest, blue background")


def encoded(backbone: Any, **images: Any) -> EncodedReference:
    augmentation = Augmentation(CaptionOptions(), ImageAugmentation(**images))
    (one,) = encode_references(backbone, [reference()], FRAMING, augmentation=augmentation)
    return one


@pytest.mark.parametrize(
    ("prompt", "place", "expected"),
    [
        ("1girl, smile, blue background, forest", "indoors, desk", "1girl, smile, indoors, desk"),
        ("1girl, Blue_Background, PLACE C, red hair", "", "1girl, red hair"),
        ("A girl stands in a forest.", "indoors", "A girl stands in a forest., indoors"),
        ("", "indoors", "indoors"),
        ("blue background", "", ""),
    ],
)
def test_a_prompt_loses_its_background_and_names_the_new_one(prompt: str, place: str, expected: str) -> None:
    assert SCENERY.with_background(prompt, place) == expected


def test_drawn_backgrounds_are_named_and_the_rest_of_the_prompt_stays() -> None:
    backbone = DrawingTiny()
    shown = encoded(backbone)
    drawn = {prompt.removeprefix("empty, ") for prompt in backbone.prompts if prompt.startswith("empty, ")}
    assert len(drawn) == PLACES
    assert drawn <= set(SCENERY.places)
    assert backbone.calls == 3 * DRAWING_STEPS * 2, "eight places and then two, four rows at once, with guidance"
    used = {prompt.removeprefix("a girl, smile, ") for prompt in backbone.prompts if prompt.startswith("a girl, smile")}
    assert used == drawn | {"forest, blue background"}
    assert len(shown.held_back) == HELD_BACK


def test_training_and_judgement_share_no_view_and_no_place() -> None:
    shown = encoded(DrawingTiny())
    trained = [view.latent for view in shown.shown_as]
    prompts = [view.conditioning.vectors for view in shown.shown_as]
    for view in shown.held_back:
        assert not any(torch.equal(view.latent, other) for other in trained)
        assert not any(torch.equal(view.conditioning.vectors, other) for other in prompts)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75, 1.0])
def test_the_share_of_draws_that_are_pasted_is_that_of_the_setting(share: float) -> None:
    backbone = DrawingTiny()
    shown = encoded(backbone, cut_paste=share)
    source = BatchSource(
        backbone, [shown], TrainingSettings(batch_size=8, noise_pool=256), 200, torch.Generator().manual_seed(0)
    )
    rows = [row for _ in range(200) for row in source.draw().x0]
    whole = sum(torch.equal(row, shown.latent[0]) for row in rows)
    assert whole / len(rows) == pytest.approx(1 - share, abs=0.06)


def test_a_subject_that_fills_its_picture_and_a_reference_without_a_mask_are_shown_as_they_are() -> None:
    whole = make_reference(reference().image, None, "a girl")
    augmentation = Augmentation(CaptionOptions(), ImageAugmentation())
    (one,) = encode_references(DrawingTiny(), [whole], FRAMING, augmentation=augmentation)
    assert (len(one.shown_as), len(one.held_back)) == (1, 0)


def test_a_model_without_names_for_backgrounds_gets_plain_colours() -> None:
    shown = encoded(TinyBackbone())
    corners = {tuple(view.latent[0, :3, 0, 0].tolist()) for view in shown.augmented if view.latent[0, 0, 0, 0] != 0}
    assert len(corners) > 4
    for view in shown.held_back:
        assert float((view.latent_mask == 0).float().mean()) > 0.5


def test_named_colours_are_named() -> None:
    backbone = DrawingTiny()
    encoded(backbone, backgrounds="plain colours")
    assert {"a girl, smile, red background", "a girl, smile, gray background"} <= set(backbone.prompts)


def test_given_pictures_take_no_words_with_them() -> None:
    backbone = DrawingTiny()
    sky = torch.zeros(50, 100, 3)
    sky[..., 2] = 1
    shown = encoded(backbone, backgrounds="pictures", background_images=(sky,), cut_paste=1.0)
    assert set(backbone.prompts) == {"a girl, smile", "a girl, smile, forest, blue background"}
    corner = shown.augmented[0].latent[0, :3, 0, -1]
    assert torch.equal(corner, torch.tensor([-1.0, -1.0, 1.0])) or shown.augmented[0].latent_mask[0, 0, 0, -1] > 0


def test_evaluations_measure_the_views_that_were_held_back(tmp_path: Any) -> None:
    backbone = DrawingTiny()
    settings = TrainingSettings(steps=60, num_tokens=3, batch_size=3, noise_pool=64, evaluations=3, prior_weight=1.6)
    result = train_context_tokens(backbone, [encoded(backbone)], settings)
    assert result.before.unseen is not None and result.after.unseen is not None
    assert result.after.unseen < 0.9 * result.before.unseen
    assert result.before.unseen_leak == 0.0
    assert result.after.unseen_leak is not None and result.after.unseen_leak > 0
    assert result.after.supplied is not None and result.after.supplied > 0.05
    assert result.after.unseen_supplied is not None and result.after.unseen_supplied > 0.05
    plain = train_context_tokens(backbone, [encoded(backbone, cut_paste=0.0)], settings)
    assert plain.after.unseen is None


def test_a_run_with_everything_on_resumes_to_the_bit(tmp_path: Any) -> None:
    settings = TrainingSettings(
        steps=30, num_tokens=3, batch_size=2, noise_pool=32, evaluations=3, ema=0.9, time_ranges=2, init_text="ab"
    )
    assert settings.learning_rate == "auto"

    def train(**more: Any) -> ReferenceContext:
        backbone = DrawingTiny()
        shown = encoded(backbone, flip=True, random_crop=0.3)
        result: ReferenceContext = train_context_tokens(backbone, [shown], settings, **more).trained
        return result

    class StopError(Exception):
        pass

    def stop(report: Any) -> None:
        if report.step == 17:
            raise StopError

    whole = train()
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(StopError):
        train(on_step=stop, checkpoints=CheckpointPlan(path, 7))
    resumed = train(resume=TrainingState.load(path))
    for name, tensor in whole.tensors().items():
        assert torch.equal(tensor, resumed.tensors()[name])
    again = train()
    assert all(torch.equal(tensor, again.tensors()[name]) for name, tensor in whole.tensors().items())
    assert replace(whole.info, settings={}) == replace(resumed.info, settings={})


def test_what_a_run_costs_is_counted() -> None:
    backbone = DrawingTiny()
    seen: list[int] = []
    predict = backbone.predict
    backbone.predict = lambda x_t, *rest: seen.append(len(x_t)) or predict(x_t, *rest)  # type: ignore[method-assign]
    one = encoded(backbone, cut_paste=0.75)
    assert one.drawing_passes == sum(seen) == 2 * PLACES * DRAWING_STEPS, "each step once with the prompt, once without"
    seen.clear()
    settings = TrainingSettings(steps=5, num_tokens=2, batch_size=2, gradient_accumulation=3, learning_rate="0.1")
    result = train_context_tokens(backbone, [one], settings)
    assert result.passes.learning == 5 * 2 * 3
    assert result.passes.learning + result.passes.looking == sum(seen)
    assert f"30 to learn (each with a way back), {result.passes.looking} to measure, {one.drawing_passes} to draw " in (
        describe(result)
    )
    seen.clear()
    guided = train_context_tokens(backbone, [one], replace(settings, negative_tokens=2))
    assert guided.passes.learning == 2 * 5 * 2 * 3, "guidance asks the model twice"
    assert guided.passes.learning + guided.passes.looking == sum(seen)
    assert "to draw" not in describe(train_context_tokens(backbone, [encoded(backbone, cut_paste=0.0)], settings))
