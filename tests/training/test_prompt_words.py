"""Words for the subject in the prompts that a LoRA is trained under: which they are, where they go, and who is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from adaptable_model import WIDTH, AdaptableDenoiser
from safetensors import safe_open
from torch import Tensor

from anima_fast_train.training import EncodedReference, describe
from anima_fast_train.training.asked_words import InPrompts
from anima_fast_train.training.conditioning import Conditioning
from anima_fast_train.training.lora_settings import LoraTrainingSettings
from anima_fast_train.training.measurements.carry_yardstick import encoded_scenes
from anima_fast_train.training.miniature import scene
from anima_fast_train.training.miniature.backbone import MiniatureBackbone, sample
from anima_fast_train.training.references.augmentation import ImageAugmentation
from anima_fast_train.training.references.caption import split_tags, with_tags
from anima_fast_train.training.references.encode import AugmentedReference
from anima_fast_train.training.references.subject_tags import TagGroup
from anima_fast_train.training.resuming.run_state import CheckpointPlan, TrainingState
from anima_fast_train.training.subject_words import words_in_prompts
from anima_fast_train.training.train_lora import train_lora
from anima_fast_train.training.word_search import affordable_passes

SETTINGS = LoraTrainingSettings(steps=30, rank=2, batch_size=4, noise_pool=16, evaluations=3, seed=3)


class Described(AdaptableDenoiser):
    """Knows tags but for one, and remembers what it was asked under."""

    subject_tags = (TagGroup(("abc hat", "xyz hat", "---")), TagGroup(("rst cape", "uvw cape")))

    def __init__(self) -> None:
        super().__init__()
        self.prompts: list[str] = []
        self.rows = 0

    def encode_prompt(self, prompt: str) -> Conditioning:
        self.prompts.append(prompt)
        known = [tag for tag in split_tags(prompt) if tag != "---"]
        generator = torch.Generator().manual_seed(hash(tuple(", ".join(known).encode())) % 2**31)
        return Conditioning(torch.randn(1, len(known), WIDTH, generator=generator))

    def predict(self, x_t: Tensor, level: Tensor, conditioning: Conditioning, trained: Any = None) -> Tensor:
        self.rows += len(x_t)
        return super().predict(x_t, level, conditioning, trained)


def reference(backbone: Described, caption: str = "1girl", **changes: Any) -> EncodedReference:
    latent = 0.3 * torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(5))
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 2:6, 2:6] = 1
    return EncodedReference(latent, mask, backbone.encode_prompt(caption), caption=caption, **changes)


@pytest.mark.parametrize(
    ("prompt", "tags", "expected"),
    [
        ("1girl, waving", "red hair, hat", "1girl, waving, red hair, hat"),
        ("1girl, Red_hair, ", "red hair, hat", "1girl, Red_hair, hat"),
        ("a girl who waves", "hat", "a girl who waves, hat"),
        ("1girl, hat", "hat", "1girl, hat"),
        ("1girl, red hair", "Red_hair", "1girl, red hair"),
        ("1girl", "", "1girl"),
        (" ", "hat", " "),
    ],
)
def test_tags_go_behind_a_prompt_that_does_not_have_them(prompt: str, tags: str, expected: str) -> None:
    assert with_tags(prompt, tags) == expected


def test_every_prompt_of_the_training_says_them_and_the_lora_tells_so(tmp_path: Path) -> None:
    backbone = Described()
    whole = reference(backbone)
    views = [
        AugmentedReference(whole.latent, whole.latent_mask, backbone.encode_prompt(prompt), prompt=prompt)
        for prompt in ("1girl, beach", "1girl, forest", "", "1girl, street")
    ]
    shown = replace(whole, augmented=tuple(views[:3]), held_back=(views[3],))
    backbone.prompts.clear()
    told: list[Tensor] = []
    lora = train_lora(
        backbone,
        [shown],
        replace(SETTINGS, subject_words="red hair, hat"),
        on_step=lambda report: told.append(report.prompt.vectors),
    ).trained
    said = {f"1girl{place}, red hair, hat" for place in ("", ", beach", ", forest", ", street")}
    assert set(backbone.prompts) == {*said, ""}
    assert torch.equal(told[0][:, :3], backbone.encode_prompt("1girl, red hair, hat").vectors)
    assert lora.info.prompt == "1girl, red hair, hat" and lora.prompt_words == "red hair, hat"
    assert lora.summary().endswith("; write in the prompt: red hair, hat")
    lora.save(tmp_path / "a.safetensors")
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert file.metadata()["modelspec.trigger_phrase"] == "red hair, hat"


def test_a_search_in_prompts_costs_what_it_may_and_a_resumed_run_does_not_search(tmp_path: Path) -> None:
    backbone, path = Described(), tmp_path / "run.safetensors"
    words = words_in_prompts(backbone, [reference(backbone)], SETTINGS)
    assert 0 < backbone.rows <= affordable_passes(SETTINGS.steps * SETTINGS.batch_size)
    whole = train_lora(Described(), [reference(backbone)], SETTINGS)
    assert whole.trained.info.words == words != ""
    assert whole.passes is not None and whole.passes.asking == backbone.rows
    assert f"{backbone.rows} to find words" in describe(whole)
    steps: list[int] = []
    train_lora(
        Described(),
        [reference(backbone)],
        SETTINGS,
        checkpoints=CheckpointPlan(path, 100),
        finish=lambda: len(steps) == 11 or steps.append(1) is not None,
    )
    resumed = train_lora(Described(), [reference(backbone)], SETTINGS, resume=TrainingState.load(path))
    assert resumed.passes is not None and resumed.passes.asking == 0
    assert resumed.trained.info.words == words
    assert resumed.history.losses == whole.history.losses


def test_a_word_that_the_model_does_not_know_is_not_asked_about() -> None:
    backbone = Described()
    asked = InPrompts(backbone, [reference(backbone)], ["abc hat", "---"])
    assert asked.known == ["abc hat"]
    prompt, beside = asked.said(reference(backbone), "abc hat")
    assert beside is None and torch.equal(prompt.vectors, backbone.encode_prompt("1girl, abc hat").vectors)


def test_without_a_prompt_nothing_is_said() -> None:
    backbone = Described()
    silent = reference(backbone, caption="")
    assert words_in_prompts(backbone, [silent], SETTINGS) == "" and backbone.rows == 0
    assert train_lora(backbone, [silent], SETTINGS).trained.prompt_words == ""


def test_a_training_that_begins_at_a_lora_says_its_words_unless_others_are_asked_for() -> None:
    backbone = Described()
    first = train_lora(backbone, [reference(backbone)], replace(SETTINGS, subject_words="old hat")).trained
    again = train_lora(backbone, [reference(backbone)], SETTINGS, begin=first)
    assert again.trained.info.words == "old hat"
    other = train_lora(backbone, [reference(backbone)], replace(SETTINGS, subject_words="cape"), begin=first)
    assert other.trained.info.words == "cape"


def test_samples_of_a_lora_say_its_words(miniature: MiniatureBackbone, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    encode: Callable[[str], Conditioning] = miniature.encode_prompt
    monkeypatch.setattr(miniature, "encode_prompt", lambda prompt: asked.append(prompt) or encode(prompt))
    shown = encoded_scenes(miniature, [scene.draw_reference(3)], ImageAugmentation(cut_paste=0.0))
    settings = replace(SETTINGS, steps=2, evaluations=1, subject_words="purple hair")
    lora = train_lora(miniature, shown, settings).trained
    asked.clear()
    sample(miniature, "1girl, waving", [0], (64, 64), steps=1, context=lora)
    assert asked == ["", "1girl, waving, purple hair"]
