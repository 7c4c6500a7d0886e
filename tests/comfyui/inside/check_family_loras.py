"""Every family takes a LoRA, also those without a way in for tokens: it acts in ComfyUI as it did in training."""

from __future__ import annotations

import torch
from check_families import LEVEL, SHORT, at_level, for_each, opened
from check_lora import lora_for, with_file
from family_models import FAMILIES, SmallFamily, denoised, encoded, latents, qwen_image
from small_models import raises

from anima_fast_train.masking.framing import Framing
from anima_fast_train.nodes.models.backbone import ModelBackbone, training_backbone
from anima_fast_train.nodes.train_node import TrainContextTokens
from anima_fast_train.training.asked_words import InPrompts
from anima_fast_train.training.forward_passes import CountedBackbone, ForwardPasses
from anima_fast_train.training.lora_settings import LoraTrainingSettings
from anima_fast_train.training.references.encode import encode_references
from anima_fast_train.training.references.reference import make_reference
from anima_fast_train.training.references.subject_tags import TagGroup
from anima_fast_train.training.settings import TrainingSettings
from anima_fast_train.training.subject_words import words_in_prompts
from anima_fast_train.training.train_lora import train_lora
from anima_fast_train.training.word_search import affordable_passes

SETTINGS = LoraTrainingSettings(
    steps=6, rank=4, batch_size=2, learning_rate="0.02", noise_pool=2, evaluations=1, warm_up=0.0
)


@for_each(FAMILIES)
def check_load_lora_gives_what_was_trained(family: SmallFamily) -> None:
    with opened(family) as backbone, torch.no_grad():
        lora = lora_for(backbone)
        x_t, x, sigma = at_level(family, backbone)
        conditioning = backbone.encode_prompt(SHORT)
        plain = backbone.estimate_x0(x_t, backbone.predict(x_t, LEVEL, conditioning), LEVEL)
        trained = backbone.estimate_x0(x_t, backbone.predict(x_t, LEVEL, conditioning, lora.at(LEVEL)), LEVEL)
    [loaded] = denoised(with_file(family.model(), lora), [encoded(family, SHORT)], x, sigma)
    moved = (trained - plain).norm()
    assert moved > 0.01 * plain.norm(), "the LoRA does not act"
    assert (loaded - trained).norm() < 0.02 * moved, f"{float((loaded - trained).norm() / moved)} of its move is lost"


@for_each(FAMILIES)
def check_gradients_of_a_lora_agree_with_finite_differences(family: SmallFamily) -> None:
    for recompute in ("off", "on"):
        with opened(family, recompute=recompute) as backbone:
            compare_with_finite_differences(family, backbone)
            assert backbone.recomputes is (recompute == "on")


def compare_with_finite_differences(family: SmallFamily, backbone: ModelBackbone) -> None:
    adapters, target = lora_for(backbone).at(LEVEL), latents(family, 9)
    x_t, _, _ = at_level(family, backbone)
    conditioning = backbone.encode_prompt(SHORT)

    def loss(values: torch.Tensor) -> torch.Tensor:
        return (backbone.predict(x_t, LEVEL, conditioning, adapters.with_values(values)) - target).square().mean()

    values = adapters.values.detach().clone().requires_grad_()
    loss(values).backward()
    direction, step = values.grad / values.grad.norm(), 2e-3 / values.grad.norm()
    with torch.no_grad():
        apart = loss(values + step * direction) - loss(values - step * direction)
    torch.testing.assert_close(apart / (2 * step), values.grad.norm(), rtol=0.03, atol=0)


@for_each(FAMILIES)
def check_a_lora_learns_from_captions_of_different_lengths(family: SmallFamily) -> None:
    mask = torch.zeros(64, 64)
    mask[16:48, 16:48] = 1
    picture = torch.rand(64, 64, 3, generator=torch.Generator().manual_seed(0))
    references = [make_reference(picture, mask, caption) for caption in (SHORT, "1girl, solo, red hair, long coat")]
    models = (family.model(), family.clip(), family.vae())
    with torch.inference_mode(), training_backbone(*models) as backbone:
        result = train_lora(backbone, encode_references(backbone, references, Framing(size=64)), SETTINGS)
    info = result.trained.info
    assert info.model_family == backbone.model_family and info.inside_after < info.inside_before


@for_each(FAMILIES)
def check_words_are_looked_for_in_prompts(family: SmallFamily) -> None:
    mask = torch.zeros(64, 64)
    mask[16:48, 16:48] = 1
    picture = torch.rand(64, 64, 3, generator=torch.Generator().manual_seed(0))
    passes = ForwardPasses()
    models = (family.model(), family.clip(), family.vae())
    with torch.inference_mode(), training_backbone(*models) as backbone:
        shown = encode_references(backbone, [make_reference(picture, mask, SHORT)], Framing(size=64))
        tags = ("black hair", "a very long mane of red hair")
        backbone.subject_tags = (TagGroup(tags),)
        asked = InPrompts(backbone, shown, tags)
        assert asked.known == list(tags)
        x_t, _, _ = at_level(family, backbone)
        for tag in tags:
            prompt, beside = asked.said(shown[0], tag)
            written = backbone.predict(x_t, LEVEL, backbone.encode_prompt(f"{SHORT}, {tag}"))
            torch.testing.assert_close(backbone.predict(x_t, LEVEL, prompt, beside), written)
            assert not torch.equal(written, backbone.predict(x_t, LEVEL, shown[0].conditioning))
        words = words_in_prompts(CountedBackbone(backbone, passes), shown, TrainingSettings(steps=50, batch_size=2))
    assert words in ("", *tags)
    assert 0 < passes.looking <= affordable_passes(100)


def check_context_tokens_are_refused_where_they_have_no_way_in() -> None:
    with raises(ValueError, "the model is Qwen-Image, which has no way in for context tokens", "expected Anima, SDXL"):
        TrainContextTokens.execute(qwen_image(), None, None, "1girl", torch.rand(1, 64, 64, 3))
