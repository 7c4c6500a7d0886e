"""A LoRA trains on masked references as tokens do: it learns, resumes to the same bits, and says what does not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from adaptable_model import CHANNELS, AdaptableDenoiser, denoiser

from anima_fast_train.declared import settings_of
from anima_fast_train.training import EncodedReference, TrainingSettings, describe
from anima_fast_train.training.adapters.plan import KINDS
from anima_fast_train.training.lora_settings import LoraSettings, LoraTrainingSettings, with_lora
from anima_fast_train.training.miniature.backbone import MiniatureBackbone
from anima_fast_train.training.result import StepReport
from anima_fast_train.training.resuming.run_state import CheckpointPlan, TrainingState
from anima_fast_train.training.train_lora import lora_trainer, train_lora

SETTINGS = LoraTrainingSettings(steps=30, rank=2, batch_size=2, noise_pool=16, evaluations=3, seed=3)


def reference(backbone: AdaptableDenoiser) -> EncodedReference:
    """The same colour where the mask is white, and noise."""
    latent = 0.3 * torch.randn(1, CHANNELS, 8, 8, generator=torch.Generator().manual_seed(5))
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 2:6, 2:6] = 1
    latent[..., 2:6, 2:6] = 1.0
    return EncodedReference(latent, mask, backbone.encode_prompt("a"), caption="1girl, coat")


def train(settings: LoraTrainingSettings = SETTINGS, model: AdaptableDenoiser | None = None, **more: Any):
    backbone = model or AdaptableDenoiser()
    return train_lora(backbone, [reference(backbone)], settings, **more)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_learns_what_the_mask_selects(kind: str):
    result = train(replace(SETTINGS, kind=kind, steps=60))
    assert result.after.inside < 0.9 * result.before.inside
    assert result.found_rate.steps > 0
    assert f"{kind}: rank" in describe(result)


def test_weight_decay_keeps_what_is_learned_small():
    """Each factor is pulled towards zero, so that what the picture does not ask for goes."""

    def size(decay: float) -> float:
        trained = train(replace(SETTINGS, steps=60, weight_decay=decay, learning_rate="0.05")).trained
        return float(sum(tensor.square().sum() for name, tensor in trained.tensors().items() if "lora_" in name))

    assert size(LoraTrainingSettings().weight_decay) < 0.9 * size(0.0)


def test_settings_without_weight_decay_get_that_of_a_lora():
    own = LoraTrainingSettings().weight_decay
    assert with_lora(TrainingSettings(), LoraSettings(rank=3)).weight_decay == own
    assert with_lora(TrainingSettings(weight_decay=0.7), LoraSettings()).weight_decay == 0.7
    assert LoraTrainingSettings(weight_decay=0.0).weight_decay == 0
    (said,) = (each.help for each in settings_of(TrainingSettings) if each.field == "weight_decay")
    assert f"and {own:g} for a LoRA" in said


def test_without_prior_preservation_what_the_mask_leaves_out_is_changed_more():
    held, free = (train(replace(SETTINGS, steps=60, prior_weight=weight)) for weight in (1.6, 0.0))
    assert held.after.leak < 0.7 * free.after.leak


def test_prior_preservation_counts_half_beside_weight_decay():
    backbone = AdaptableDenoiser()
    settings = with_lora(TrainingSettings(prior_weight=3.0, balance_prior=False), LoraSettings())
    trainer, _ = lora_trainer(backbone, [reference(backbone)], settings)
    assert trainer.forward.prior_weight == pytest.approx(1.5)
    (said,) = (each.help for each in settings_of(TrainingSettings) if each.field == "prior_weight")
    assert "A LoRA, which weight decay holds too, counts half of it." in said


def test_the_model_is_as_it_was_after_training_and_after_a_cancel():
    backbone = AdaptableDenoiser()
    before = {name: tensor.clone() for name, tensor in backbone.model.state_dict().items()}

    def cancel(report: StepReport) -> None:
        raise KeyboardInterrupt

    train(model=backbone)
    with pytest.raises(KeyboardInterrupt):
        train(model=backbone, on_step=cancel)
    assert all(torch.equal(tensor, before[name]) for name, tensor in backbone.model.state_dict().items())
    assert all("forward" not in module.__dict__ for module in backbone.model.modules())


@pytest.mark.parametrize("settings", [SETTINGS, replace(SETTINGS, ema=0.9), replace(SETTINGS, kind="DyLoRA")], ids=str)
def test_a_cancelled_training_goes_on_to_the_same_bits(settings: LoraTrainingSettings, tmp_path: Path):
    whole = train(settings)
    plan = CheckpointPlan(tmp_path / "run.safetensors", every=100)

    def cancel(report: StepReport) -> None:
        if report.step == 13:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(settings, on_step=cancel, checkpoints=plan)
    result = train(settings, resume=TrainingState.load(plan.path))
    assert torch.equal(result.trained.values, whole.trained.values)
    assert (result.history.losses, result.kept_step) == (whole.history.losses, whole.kept_step)


@pytest.mark.parametrize(
    ("changes", "name"), [({"rank": 1}, "lora_rank"), ({"kind": "DyLoRA"}, "lora_kind"), ({"alpha": 1.0}, "lora_alpha")]
)
def test_a_run_of_another_lora_is_not_resumed(changes: dict[str, Any], name: str, tmp_path: Path):
    backbone = AdaptableDenoiser()
    state = lora_trainer(backbone, [reference(backbone)], SETTINGS)[0].state()
    with pytest.raises(ValueError, match=f"cannot resume: {name} is"):
        train(replace(SETTINGS, **changes), resume=state)


def test_a_checkpoint_of_another_model_is_refused_in_one_sentence():
    backbone, larger = AdaptableDenoiser(), AdaptableDenoiser(denoiser(blocks=3))
    state = lora_trainer(larger, [reference(larger)], SETTINGS)[0].state()
    with pytest.raises(ValueError, match="cannot resume: in the checkpoint tensor leaf is"):
        train(model=backbone, resume=state)


def test_alpha_is_the_one_that_was_asked_for():
    assert train().trained.alpha == 2
    halved = train(replace(SETTINGS, alpha=1.0)).trained
    assert halved.alpha == 1
    assert {float(tensor) for name, tensor in halved.tensors().items() if name.endswith(".alpha")} == {1.0}


def test_what_is_exported_predicts_as_what_was_trained():
    backbone = AdaptableDenoiser()
    shown = reference(backbone)
    trainer, trainable = lora_trainer(backbone, [shown], replace(SETTINGS, alpha=3.0))
    for _ in range(5):
        trainer.step(0.05)
    kept = trainable.kept()
    trained = trainer.export(kept, 5)
    level = torch.tensor([0.5])
    with torch.no_grad():
        expected = backbone.predict(shown.latent, level, shown.conditioning, trainable.at(level, kept))
        plain = backbone.predict(shown.latent, level, shown.conditioning)
        for at in (trained.at(level), trained.at_level(0.5), trained.at_level(0.5, negative=True)):
            torch.testing.assert_close(backbone.predict(shown.latent, level, shown.conditioning, at), expected)
        nothing = backbone.predict(shown.latent, level, shown.conditioning, trained.scaled(0.0).at(level))
    assert not torch.allclose(plain, expected, atol=1e-3)
    torch.testing.assert_close(nothing, plain)


def test_a_rate_means_the_same_whatever_the_units_of_the_model():
    """A model whose inner weights are ten times larger, and whose outputs there count a tenth, is the same function."""
    results = []
    for factor in (1.0, 10.0):
        backbone = AdaptableDenoiser(denoiser(blocks=1))
        attention = backbone.model.blocks[0].attn2
        attention.to_v.weight *= factor
        attention.to_out[0].weight /= factor
        results.append(train(replace(SETTINGS, layers="attention"), backbone))
    first, second = results
    assert first.found_rate.rate == pytest.approx(second.found_rate.rate)
    assert first.history.losses == pytest.approx(second.history.losses, rel=1e-3)


def test_a_dylora_is_saved_at_the_smallest_rank_that_suffices_as_an_ordinary_lora():
    settings = replace(SETTINGS, kind="DyLoRA", rank=7, steps=90)
    result = train(settings)
    lora = result.trained
    assert lora.rank in (1, 2, 4)
    assert any("suffices" in note for note in result.warnings)
    assert lora.strength == 1.0
    downs = [tensor for name, tensor in lora.tensors().items() if name.endswith("lora_down.weight")]
    assert {tensor.shape[0] for tensor in downs} == {lora.rank}
    assert result.after.inside < 0.9 * result.before.inside
    assert lora.info.inside_after == result.after.inside


def test_a_dylora_trains_each_of_its_prefixes_as_often_as_the_others():
    backbone = AdaptableDenoiser()
    _, trainable = lora_trainer(backbone, [reference(backbone)], replace(SETTINGS, kind="DyLoRA", rank=7))
    seen = []
    for _ in range(12):
        seen.append(next(iter(trainable.at(torch.zeros(1)).of_layer("blocks.0.ff.0").values())).shape[0])
        trainable.after_step()
    assert sorted(seen) == sorted([1, 2, 4, 7] * 3)


def test_training_goes_on_from_a_lora():
    first = train().trained
    result = train(begin=first)
    assert result.history.evaluations[0].inside > result.after.inside
    assert result.trained.info.earlier["1"]["steps"] == SETTINGS.steps
    backbone = AdaptableDenoiser()
    _, trainable = lora_trainer(backbone, [reference(backbone)], replace(SETTINGS, alpha=1.0), first)
    level = torch.zeros(1)
    torch.testing.assert_close(trainable.at(level).values, first.at(level).values)


def test_a_lora_of_other_layers_is_not_gone_on_from():
    first = train(replace(SETTINGS, layers="attention")).trained
    with pytest.raises(ValueError, match="the LoRA to go on from is a LoRA of rank 2 in 8 layers"):
        train(begin=first)


def test_the_miniature_learns_by_a_lora_and_is_as_it_was(miniature: MiniatureBackbone):
    latent = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 2:6, 2:6] = 1
    shown = EncodedReference(latent, mask, miniature.encode_prompt("1girl"), caption="1girl")
    level = torch.tensor([0.5])
    plain = miniature.predict(latent, level, shown.conditioning)
    result = train_lora(miniature, [shown], replace(SETTINGS, rank=4, steps=8))
    assert result.after.inside < result.before.inside
    assert len(result.trained.plan.layers) == 60
    assert torch.equal(miniature.predict(latent, level, shown.conditioning), plain)
