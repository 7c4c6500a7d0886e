"""A LoRA is held to change nothing under the empty prompt, which guidance takes as the negative one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from adaptable_model import CHANNELS, AdaptableDenoiser

from anima_fast_train.training import EncodedReference, train_lora
from anima_fast_train.training.adapters.trained_lora import TrainedLora
from anima_fast_train.training.lora_settings import LoraTrainingSettings
from anima_fast_train.training.references.encode import AugmentedReference
from anima_fast_train.training.references.unprompted import held_without_prompt

SETTINGS = LoraTrainingSettings(steps=60, rank=2, batch_size=2, noise_pool=32, evaluations=3, seed=3)


def reference(backbone: AdaptableDenoiser, prompts: tuple[str, ...] = ("a",)) -> EncodedReference:
    latent = 0.3 * torch.randn(1, CHANNELS, 8, 8, generator=torch.Generator().manual_seed(5))
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 2:6, 2:6] = 1
    latent[..., 2:6, 2:6] = 1.0
    conditioning = backbone.encode_prompt(prompts[0])
    views = tuple(
        AugmentedReference(latent + number, mask, backbone.encode_prompt(prompt), None, prompt)
        for number, prompt in enumerate(prompts)
    )
    return EncodedReference(latent, mask, conditioning, caption=prompts[0], augmented=views, held_back=views[:1])


@pytest.mark.parametrize("views", [1, 3, 4, 48])
def test_one_in_five_draws_is_under_the_empty_prompt_with_nothing_to_learn(views: int) -> None:
    backbone = AdaptableDenoiser()
    before = reference(backbone, tuple(f"view {number}" for number in range(views)))
    (held,) = held_without_prompt([before], backbone.encode_prompt)
    empty = [view for view in held.shown_as if not view.prompt]
    learned = [view for view in held.shown_as if view.prompt]
    assert len(empty) == pytest.approx(len(held.shown_as) / 5, abs=0.5)
    assert all(not view.latent_mask.any() for view in empty)
    shown = {tuple(view.latent.flatten().tolist()) for view in before.shown_as}
    assert {tuple(view.latent.flatten().tolist()) for view in empty} <= shown
    assert {view.prompt for view in learned} == {view.prompt for view in before.shown_as}
    assert all(torch.equal(view.latent_mask, before.latent_mask) for view in learned)
    assert [view.prompt for view in held.held_back] == ["view 0"]
    assert held.caption == before.caption


def test_what_is_learned_under_the_empty_prompt_stays_as_it_is() -> None:
    backbone = AdaptableDenoiser()
    before = reference(backbone, ("a", ""))
    (held,) = held_without_prompt([before], backbone.encode_prompt)
    assert held is before


def moved(lora: TrainedLora, backbone: AdaptableDenoiser, prompt: str) -> float:
    x = torch.randn(8, CHANNELS, 8, 8, generator=torch.Generator().manual_seed(1))
    level = torch.linspace(0.2, 0.9, 8)
    conditioning = backbone.encode_prompt(prompt).expand(8)
    with torch.no_grad():
        difference = backbone.predict(x, level, conditioning, lora.at(level)) - backbone.predict(x, level, conditioning)
    return float(difference.square().mean())


def test_a_lora_moves_the_empty_prompt_less_for_it(monkeypatch: Any) -> None:
    backbone = AdaptableDenoiser()

    def moves() -> float:
        lora = train_lora.train_lora(backbone, [reference(backbone)], SETTINGS).trained
        return moved(lora, backbone, "") / moved(lora, backbone, "a")

    held = moves()
    monkeypatch.setattr(train_lora, "held_without_prompt", lambda references, encode: references)
    assert held < 0.8 * moves()


@pytest.mark.parametrize("changes", [{"prior_weight": 0.0}, {"unmasked_weight": 0.5}])
def test_where_nothing_is_held_neither_is_the_empty_prompt(changes: dict[str, float], monkeypatch: Any) -> None:
    backbone = AdaptableDenoiser()
    settings = replace(SETTINGS, steps=2, **changes)
    as_it_is = train_lora.train_lora(backbone, [reference(backbone)], settings).trained
    monkeypatch.setattr(train_lora, "held_without_prompt", lambda references, encode: references)
    again = train_lora.train_lora(backbone, [reference(backbone)], settings).trained
    assert torch.equal(as_it_is.values, again.values)
