"""A LoRA that was trained here acts in ComfyUI as it did in training, and training finds its way in whatever model is
wired."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import comfy.hooks
import comfy.sample
import comfy.sd
import comfy.utils
import torch
from comfy.model_patcher import ModelPatcher
from small_models import load_model, noise, padded_context, raises

from anima_fast_train.nodes.models.backbone import ModelBackbone, predicting_backbone
from anima_fast_train.training.adapters.plan import KINDS, plan_of
from anima_fast_train.training.adapters.trained_lora import TrainedLora
from anima_fast_train.training.conditioning import Conditioning
from anima_fast_train.training.lora_settings import LoraSettings, LoraTrainingSettings
from anima_fast_train.training.references.encode import EncodedReference
from anima_fast_train.training.result import StepReport
from anima_fast_train.training.train_lora import train_lora
from anima_fast_train.training.training_info import TrainingInfo

LEVEL = torch.tensor([0.7])
ATTENTION = LoraSettings(rank=4, layers="attention")
SETTINGS = LoraTrainingSettings(
    steps=4, rank=2, batch_size=1, learning_rate="0.02", noise_pool=2, evaluations=1, warm_up=0.0, layers="attention"
)


def x_t() -> torch.Tensor:
    return noise(1, 16, 1, 8, 8, seed=1)


def prompt() -> Conditioning:
    return Conditioning(padded_context())


@contextmanager
def opened(model: ModelPatcher, recompute: str = "off") -> Iterator[ModelBackbone]:
    """As a node opens it, from within ComfyUI's inference mode; without a text encoder, since prompts are made up."""
    with torch.inference_mode(), predicting_backbone(model, recompute, "auto") as backbone:
        backbone.encode_prompt = lambda text: Conditioning(padded_context(used=2 + len(text)))  # type: ignore[method-assign]
        yield backbone


def lora_for(backbone: ModelBackbone, settings: LoraSettings = LoraSettings(rank=4), size: float = 0.2) -> TrainedLora:
    """Of random numbers, as large as training makes them."""
    plan = plan_of(backbone.adaptable_layers(), settings, "anima")
    leaf = torch.randn(plan.size, generator=torch.Generator().manual_seed(2))
    starts = torch.tensor([factor.starts for factor in plan.all_factors]).repeat_interleave(
        torch.tensor([factor.size for factor in plan.all_factors])
    )
    values = plan.units() * torch.where(starts, leaf, size * leaf)
    return TrainedLora.of(plan, values, settings, TrainingInfo(model_family="anima"), {})


@torch.no_grad()
def predicted(model: ModelPatcher, lora: TrainedLora | None = None) -> torch.Tensor:
    with opened(model) as backbone:
        return backbone.predict(x_t(), LEVEL, prompt(), None if lora is None else lora.at(LEVEL))


@contextmanager
def warnings_of_comfyui() -> Iterator[list[str]]:
    found: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: found.append(record.getMessage())
    logging.getLogger().addHandler(handler)
    try:
        yield found
    finally:
        logging.getLogger().removeHandler(handler)


@torch.inference_mode()
def with_file(model: ModelPatcher, lora: TrainedLora, bypass: bool = False, layout: str = "sd-scripts") -> ModelPatcher:
    """The model as Load LoRA, or Load LoRA (Bypass), makes it from the file."""
    load = comfy.sd.load_bypass_lora_for_models if bypass else comfy.sd.load_lora_for_models
    with tempfile.TemporaryDirectory() as folder, warnings_of_comfyui() as warnings:
        replace(lora, layout=layout).save(Path(folder) / "a.safetensors")
        tensors = comfy.utils.load_torch_file(str(Path(folder) / "a.safetensors"), safe_load=True)
        loaded, _ = load(model, None, tensors, 1.0, 0.0)
    assert [words for words in warnings if "load" in words.lower()] == []
    return loaded


def share_lost(model: ModelPatcher, loaded: ModelPatcher, lora: TrainedLora, least_move: float = 0.02) -> float:
    """How far the loaded model is from what was trained, as a share of how far that moved the model."""
    plain, trained, found = predicted(model), predicted(model, lora), predicted(loaded)
    moved = (trained - plain).norm()
    assert moved > least_move * plain.norm(), (moved, plain.norm())
    return float((found - trained).norm() / moved)


def check_load_lora_gives_what_was_trained_in_fp32_for_every_kind() -> None:
    model = load_model(dtype=torch.float32)
    for kind in (each for each in KINDS if each != "LoCon"):
        with opened(model) as backbone:
            lora = lora_for(backbone, LoraSettings(rank=4, kind=kind, alpha=3.0))
        lost = share_lost(model, with_file(model, lora), lora)
        assert lost < 1e-5, (kind, lost)


def check_peft_files_and_dictionaries_on_the_wire_do_too() -> None:
    model = load_model(dtype=torch.float32)
    with opened(model) as backbone:
        lora = lora_for(backbone, LoraSettings(rank=4, alpha=3.0))
    assert share_lost(model, with_file(model, lora, layout="peft"), lora) < 1e-5
    with torch.inference_mode():
        wired, _ = comfy.sd.load_lora_for_models(model, None, lora.tensors(), 1.0, 0.0)
    assert share_lost(model, wired, lora) < 1e-5


def check_a_merge_into_bf16_loses_at_most_two_percent() -> None:
    model = load_model(dtype=torch.bfloat16)
    with opened(model) as backbone:
        lora = lora_for(backbone)
    lost = share_lost(model, with_file(model, lora), lora)
    print(f"bf16 merge loses {lost:.4f}")
    assert lost < 0.02, lost


def check_bypass_is_exact_on_fp8() -> None:
    model = load_model(dtype=torch.float8_e4m3fn)
    with opened(model) as backbone:
        lora = lora_for(backbone)
    assert share_lost(model, with_file(model, lora, bypass=True), lora) == 0
    assert share_lost(model, with_file(model, lora), lora) > 0.01


def check_a_hook_has_it_act_on_the_prompt_alone() -> None:
    """Create Hook LoRA (MO) and Cond Set Props: guidance adds to what it does, and takes none of it away."""
    model = load_model(dtype=torch.float32)
    with opened(model) as backbone:
        lora = lora_for(backbone)
    asked, unwanted = ([[padded_context(seed=seed), {}]] for seed in (0, 9))
    hooks = comfy.hooks.create_hook_lora(lora=lora.tensors(), strength_model=1.0, strength_clip=0.0)
    (hooked,) = comfy.hooks.set_conds_props([asked], strength=1.0, set_cond_area="default", hooks=hooks)
    loaded = with_file(model, lora)
    plain, wanted, unmoved = drawn(model, asked), drawn(loaded, asked), drawn(model, unwanted)
    torch.testing.assert_close(
        drawn(model, hooked, unwanted, guidance=3.0), unmoved + 3 * (wanted - unmoved), rtol=1e-3, atol=1e-4
    )
    assert (wanted - plain).norm() > 0.01 * plain.norm()


@torch.inference_mode()
def drawn(model: ModelPatcher, asked: list, unwanted: list | None = None, guidance: float = 1.0) -> torch.Tensor:
    """Of one step from noise, which ends at the model's guided estimate of the picture."""
    latent = torch.zeros(1, 16, 1, 8, 8)
    return comfy.sample.sample(
        model, noise(1, 16, 1, 8, 8, seed=4), 1, guidance, "euler", "simple", asked, unwanted or asked, latent, seed=0
    )


def check_without_adapters_the_prediction_keeps_its_bits_and_all_is_left_as_it_was() -> None:
    model = load_model(dtype=torch.float32)
    network = model.model.diffusion_model
    before = {name: module.forward for name, module in network.named_modules()}
    names = list(network.state_dict())
    plain = predicted(model)
    with opened(model) as backbone:
        lora = lora_for(backbone, ATTENTION)
        with torch.no_grad():
            moved = backbone.predict(x_t(), LEVEL, prompt(), lora.at(LEVEL))
            again = backbone.predict(x_t(), LEVEL, prompt())
        assert list(network.state_dict()) == names
    assert torch.equal(again, plain) and not torch.equal(moved, plain)
    assert {name: module.forward for name, module in network.named_modules()} == before


def check_no_adapter_sits_where_predictions_do_not_pass() -> None:
    with opened(load_model()) as backbone:
        names = [layer.name for layer in backbone.adaptable_layers()]
    assert not [name for name in names if name.startswith("llm_adapter")]
    assert len([name for name in names if name.startswith("blocks.")]) == 10 * (8 + 2 + 6)


def gradient_of(backbone: ModelBackbone, lora: TrainedLora) -> torch.Tensor:
    adapters = lora.at(LEVEL)
    values = adapters.values.clone().requires_grad_()
    prediction = backbone.predict(x_t(), LEVEL, prompt(), adapters.with_values(values))
    (prediction - noise(1, 16, 1, 8, 8, seed=9)).square().mean().backward()
    return values.grad


def check_gradients_agree_with_finite_differences_and_recomputing_changes_none() -> None:
    model = load_model(dtype=torch.float32)
    with opened(model) as backbone:
        lora = lora_for(backbone)
        grad = gradient_of(backbone, lora)
        step = 1e-3 * lora.values.norm() / grad.norm()
        with torch.no_grad():
            losses = [
                (backbone.predict(x_t(), LEVEL, prompt(), lora.at(LEVEL).with_values(lora.values + shift * grad)))
                .sub(noise(1, 16, 1, 8, 8, seed=9))
                .square()
                .mean()
                for shift in (step, -step)
            ]
    torch.testing.assert_close((losses[0] - losses[1]) / (2 * step), grad.norm() ** 2, rtol=0.02, atol=0)
    with opened(model, recompute="on") as backbone:
        torch.testing.assert_close(gradient_of(backbone, lora), grad, rtol=1e-4, atol=1e-7)


def check_gradients_pass_through_fp8_and_fp16() -> None:
    reference = None
    for dtype in (torch.float32, torch.float8_e4m3fn, torch.float16):
        with opened(load_model(dtype=dtype)) as backbone:
            grad = gradient_of(backbone, lora_for(backbone, ATTENTION))
        reference = grad if reference is None else reference
        assert torch.cosine_similarity(grad, reference, dim=0) > 0.8, dtype


def references() -> Sequence[EncodedReference]:
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 2:6, 2:6] = 1
    return [EncodedReference(noise(1, 16, 1, 8, 8, seed=4), mask, prompt(), caption="1girl")]


def check_a_model_with_a_merged_and_a_bypass_lora_trains_and_keeps_both() -> None:
    model = load_model(dtype=torch.float32)
    with opened(model) as backbone:
        first, second = (lora_for(backbone, ATTENTION, size) for size in (0.2, 0.3))
    wired = with_file(with_file(model, first), second, bypass=True)
    plain, both = predicted(model), predicted(wired)
    assert not torch.allclose(predicted(with_file(model, first)), both, atol=1e-3)
    with opened(wired) as backbone:
        with torch.no_grad():
            assert torch.equal(backbone.predict(x_t(), LEVEL, prompt()), both)
        result = train_lora(backbone, references(), SETTINGS)
    assert result.after.inside < result.before.inside
    assert torch.equal(predicted(wired), both) and torch.equal(predicted(model), plain)


def check_forwards_come_back_after_a_cancel() -> None:
    model = load_model(dtype=torch.float32)
    with opened(model) as backbone:
        bypass = lora_for(backbone, ATTENTION)
    wired = with_file(model, bypass, bypass=True)
    before = predicted(wired)
    forwards = {name: module.forward for name, module in wired.model.diffusion_model.named_modules()}

    def cancel(report: StepReport) -> None:
        raise KeyboardInterrupt

    with raises(KeyboardInterrupt), opened(wired, recompute="on") as backbone:
        train_lora(backbone, references(), SETTINGS, cancel)
    assert {name: module.forward for name, module in wired.model.diffusion_model.named_modules()} == forwards
    assert torch.equal(predicted(wired), before)


def check_what_anima_cannot_be_given_is_one_sentence() -> None:
    with opened(load_model()) as backbone:
        for settings, words in (
            (LoraSettings(kind="LoCon"), "lora_kind is 'LoCon' and the model (anima) has no convolutions"),
            (LoraSettings(rank=300), "lora_rank is 300, expected at most 256"),
        ):
            with raises(ValueError, words):
                plan_of(backbone.adaptable_layers(), settings, backbone.model_family)
