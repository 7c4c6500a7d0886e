"""Training moves the tokens and nothing else, the same way each time, and fails loudly rather than quietly."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from anima_fast_train.training import (
    EncodedReference,
    StepReport,
    TrainingDiverged,
    TrainingSettings,
    describe,
    train_context_tokens,
)
from anima_fast_train.training.miniature.backbone import MiniatureBackbone
from anima_fast_train.training.train_context import context_trainer
from anima_fast_train.training.trainables.placed_tokens import placed

MakeReference = Callable[..., EncodedReference]
# What the tests count on is written out, so that tuning the defaults leaves them alone.
SHORT = TrainingSettings(
    steps=12,
    num_tokens=3,
    init_std=0.02,
    learning_rate="0.1",
    batch_size=4,
    noise_pool=16,
    evaluations=2,
    prior_weight=8.0,
)
STEADY = replace(SHORT, rate_shape="constant", warm_up=0.0)
FEW = TrainingSettings(steps=2, num_tokens=2, batch_size=2, noise_pool=2, evaluations=1)


def miniature_reference(miniature: MiniatureBackbone, five_dimensional: bool = False) -> EncodedReference:
    """A small one, because each forward pass costs."""
    latent = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 2:6, 2:6] = 1
    return EncodedReference(
        latent.unsqueeze(2) if five_dimensional else latent, mask, miniature.encode_prompt("1girl, smile")
    )


def state(miniature: MiniatureBackbone) -> dict[str, Tensor]:
    parts = {"codec": miniature.codec, "transformer": miniature.transformer, "tags": miniature.tags}
    return {f"{part}.{name}": value for part, module in parts.items() for name, value in module.state_dict().items()}


class Unsteady:
    """A backbone whose predictions are NaN on the chosen training steps (from 1), or wherever tokens grow beyond a
    limit."""

    def __init__(self, backbone: Any, broken: frozenset[int] = frozenset(), limit: float = math.inf) -> None:
        self._backbone, self._broken, self._limit, self.steps = backbone, broken, limit, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backbone, name)

    def predict(self, x_t: Tensor, level: Tensor, conditioning: Any, trained: Any = None) -> Tensor:
        prediction = self._backbone.predict(x_t, level, conditioning, trained)
        learned = [tokens for tokens, _ in placed(trained).by_attention() if tokens.requires_grad]
        if not learned:
            return prediction
        self.steps += 1
        too_large = not all(bool(tokens.detach().abs().max() <= self._limit) for tokens in learned)
        return prediction * math.nan if self.steps in self._broken or too_large else prediction


def test_the_same_seed_gives_the_same_tokens_to_the_bit(miniature: MiniatureBackbone) -> None:
    reference = miniature_reference(miniature)
    first, again, other = (
        train_context_tokens(miniature, [reference], replace(FEW, seed=seed)).trained.positive.tokens
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert (first != other).float().mean() > 0.99


def test_the_global_random_state_is_neither_read_nor_moved(tiny: Any, encoded: MakeReference) -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = train_context_tokens(tiny, [encoded()], SHORT).trained.positive.tokens
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(train_context_tokens(tiny, [encoded()], SHORT).trained.positive.tokens, first)


def test_the_backbone_stays_frozen(miniature: MiniatureBackbone) -> None:
    before = {name: value.clone() for name, value in state(miniature).items()}
    train_context_tokens(miniature, [miniature_reference(miniature)], FEW)
    assert all(torch.equal(value, before[name]) for name, value in state(miniature).items())
    parameters = [*miniature.transformer.parameters(), *miniature.tags.parameters(), *miniature.codec.parameters()]
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in parameters)


def test_references_are_not_changed(tiny: Any, encoded: MakeReference) -> None:
    reference = encoded()
    kept = [tensor.clone() for tensor in (reference.latent, reference.latent_mask, reference.conditioning.vectors)]
    train_context_tokens(tiny, [reference], SHORT)
    assert all(
        torch.equal(a, b)
        for a, b in zip(kept, (reference.latent, reference.latent_mask, reference.conditioning.vectors), strict=True)
    )


def test_four_and_five_dimensional_latents_train_alike(
    miniature: MiniatureBackbone, tiny: Any, encoded: MakeReference
) -> None:
    for backbone, flat, deep, settings in (
        (tiny, encoded(), encoded(five=True), SHORT),
        (miniature, miniature_reference(miniature), miniature_reference(miniature, True), FEW),
    ):
        one, other = (train_context_tokens(backbone, [reference], settings) for reference in (flat, deep))
        torch.testing.assert_close(one.trained.positive.tokens, other.trained.positive.tokens, rtol=1e-4, atol=1e-5)
        assert one.after.inside == pytest.approx(other.after.inside, rel=1e-4)
        assert one.after.leak == pytest.approx(other.after.leak, rel=1e-3, abs=1e-7)


def test_training_lowers_the_error_inside_the_mask(tiny: Any, encoded: MakeReference) -> None:
    result = train_context_tokens(tiny, [encoded()], replace(SHORT, steps=150))
    assert result.after.inside < 0.8 * result.before.inside
    assert sum(result.history.losses[-20:]) < 0.8 * sum(result.history.losses[:20])
    assert result.history.evaluations.keys() == {0, 75, 150}
    assert result.trained.info.inside_after == result.after.inside


def test_what_lies_below_black_mask_cells_reaches_neither_loss_nor_tokens(tiny: Any, encoded: MakeReference) -> None:
    # In the tiny backbone no cell sees another, so the masked loss is all that could carry the background over.
    reference = encoded()
    background = replace(
        reference,
        latent=torch.where(reference.latent_mask > 0, reference.latent, torch.full_like(reference.latent, 7.0)),
    )
    settings = replace(SHORT, prior_weight=0.0)
    runs = []
    for shown in (reference, background):
        run = context_trainer(tiny, [shown], settings)
        losses = [run.step(0.1).loss for _ in range(12)]
        runs.append((losses, run.trainable.kept()["tokens"]))
    assert runs[0][0] == runs[1][0]
    assert torch.equal(runs[0][1], runs[1][1])
    unmasked = context_trainer(tiny, [background], replace(settings, unmasked_weight=0.1))
    assert unmasked.step(0.1).loss != runs[1][0][0]


def test_prior_preservation_keeps_the_outside_as_the_model_had_it(tiny: Any, encoded: MakeReference) -> None:
    free, held = (
        train_context_tokens(tiny, [encoded()], replace(SHORT, steps=100, prior_weight=weight)) for weight in (0.0, 8.0)
    )
    assert held.after.leak < 0.5 * free.after.leak
    assert held.after.inside < held.before.inside
    assert max(free.history.prior_losses) == 0
    assert min(held.history.prior_losses) > 0


def test_a_balanced_prior_counts_both_losses_in_units_of_the_error_before_training(
    tiny: Any, encoded: MakeReference
) -> None:
    balanced, plain = (context_trainer(tiny, [encoded()], replace(SHORT, balance_prior=on)) for on in (True, False))
    assert plain.forward.prior_weight == 8.0
    assert balanced.forward.prior_weight == pytest.approx(
        8.0 * balanced.grid.before.inside / balanced.grid.before.outside
    )
    white = context_trainer(tiny, [encoded(mask=torch.ones(1, 1, 6, 8))], replace(SHORT, balance_prior=True))
    assert white.forward.prior_weight == 8.0


def test_one_shared_set_serves_every_block(tiny: Any, encoded: MakeReference) -> None:
    shared = train_context_tokens(tiny, [encoded()], replace(SHORT, per_block=False)).trained.positive.tokens
    assert shared.shape == (2, 3, 6)
    assert torch.equal(shared[0], shared[1])
    apart = train_context_tokens(tiny, [encoded()], SHORT).trained.positive.tokens
    assert apart.shape == (2, 3, 6)
    assert not torch.isclose(apart[0], apart[1]).all()


def test_accumulated_batches_are_one_large_batch(tiny: Any, encoded: MakeReference) -> None:
    # Without stratification the generator gives in four draws of one what it gives in one draw of four.
    # AdamW does not see the size of a gradient; clipping its entries does.
    plain = replace(SHORT, stratified=False, clip_value=0.02, weight_decay=0.1)
    large = train_context_tokens(tiny, [encoded()], replace(plain, batch_size=4))
    small = train_context_tokens(tiny, [encoded()], replace(plain, batch_size=1, gradient_accumulation=4))
    torch.testing.assert_close(small.history.losses, large.history.losses, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(small.trained.positive.tokens, large.trained.positive.tokens, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("clip", ["clip_norm", "clip_value"])
def test_clipping_bounds_the_gradient(
    tiny: Any, encoded: MakeReference, clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, step = [], torch.optim.AdamW.step

    def watched(optimiser: torch.optim.AdamW) -> None:
        gradient = optimiser.param_groups[0]["params"][0].grad
        sizes.append(float(gradient.norm() if clip == "clip_norm" else gradient.abs().max()))
        step(optimiser)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    train_context_tokens(tiny, [encoded()], replace(SHORT, steps=3))
    train_context_tokens(tiny, [encoded()], replace(SHORT, steps=3, **{clip: 1e-3}))
    assert min(sizes[:3]) > 1e-2
    assert max(sizes[3:]) <= 1.001e-3


def test_the_average_of_the_tokens_is_corrected_for_its_start(tiny: Any, encoded: MakeReference) -> None:
    run = context_trainer(tiny, [encoded()], replace(SHORT, ema=0.9))
    history = []
    for _ in range(5):
        run.step(0.1)
        history.append(run.trainable.leaves[0].detach().clone())
    weights = [0.1 * 0.9 ** (5 - step) for step in range(1, 6)]
    expected = sum(weight * tokens for weight, tokens in zip(weights, history, strict=True)) / sum(weights)
    torch.testing.assert_close(run.trainable.kept()["tokens"], run.trainable.unit * expected)
    averaged, last = (
        train_context_tokens(tiny, [encoded()], replace(SHORT, steps=1, ema=ema)).trained.positive.tokens
        for ema in (0.99, 0.0)
    )
    torch.testing.assert_close(averaged, last)


def test_an_exception_of_the_callback_ends_training_after_its_step(tiny: Any, encoded: MakeReference) -> None:
    class Cancelled(Exception):
        pass

    seen = []

    def cancel(report: StepReport) -> None:
        seen.append(report.step)
        if report.step == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        train_context_tokens(tiny, [encoded()], SHORT, cancel)
    assert seen == [1, 2, 3]


def test_each_step_reports_loss_rate_picture_and_context(tiny: Any, encoded: MakeReference) -> None:
    reports: list[StepReport] = []
    settings = replace(SHORT, learning_rate="0.1:4, 0.01", rate_shape="linear")
    result = train_context_tokens(tiny, [encoded(five=True)], settings, reports.append)
    assert [report.step for report in reports] == list(range(1, 13))
    assert [report.loss for report in reports] == result.history.losses
    assert [report.prior for report in reports] == result.history.prior_losses
    assert (
        [report.learning_rate for report in reports]
        == result.history.learning_rates
        == list(settings.schedule().rates(12))
    )
    assert {report.step: report.evaluation for report in reports if report.evaluation} == {
        6: result.history.evaluations[6],
        12: result.history.evaluations[12],
    }
    picture = reports[-1].x0_estimate()
    assert picture.shape == (1, 4, 1, 6, 8)
    assert not picture.requires_grad
    assert reports[-1].trained().positive.tokens.shape == result.trained.positive.tokens.shape


def test_the_context_holds_the_best_tokens_that_were_measured(tiny: Any, encoded: MakeReference) -> None:
    result = train_context_tokens(
        tiny,
        [encoded()],
        replace(STEADY, steps=40, evaluations=10, learning_rate="0.1:0.5, 2", token_attention="shared"),
    )
    measured = {
        step: evaluation.inside + max(0, evaluation.outside - result.before.outside)
        for step, evaluation in result.history.evaluations.items()
    }
    del measured[0]
    assert result.kept_step == min(measured, key=measured.__getitem__) < 40
    assert result.trained.info.inside_after == result.history.evaluations[result.kept_step].inside


def test_a_rate_list_that_ends_early_ends_training(tiny: Any, encoded: MakeReference) -> None:
    reports: list[StepReport] = []
    result = train_context_tokens(tiny, [encoded()], replace(SHORT, learning_rate="0.1:5"), reports.append)
    assert [report.step for report in reports] == [1, 2, 3, 4, 5]
    assert reports[-1].steps == result.trained.info.steps == 5
    assert max(result.history.evaluations) == 5


def test_references_of_two_sizes_train_together(tiny: Any, encoded: MakeReference) -> None:
    result = train_context_tokens(tiny, [encoded((6, 8), weight=2.0), encoded((8, 6), seed=1)], SHORT)
    assert result.trained.info.reference_count == 2
    assert result.coverage == pytest.approx([9 / 48, 9 / 48])
    assert result.trained.info.image_size == (64, 48)


def test_without_references_there_is_nothing_to_train(tiny: Any) -> None:
    with pytest.raises(ValueError, match="no reference image came, expected at least one"):
        train_context_tokens(tiny, [], SHORT)


def test_a_step_whose_loss_is_not_finite_is_skipped_and_halves_the_rate(tiny: Any, encoded: MakeReference) -> None:
    result = train_context_tokens(Unsteady(tiny, frozenset({2, 3, 7})), [encoded()], STEADY)
    assert result.history.learning_rates == [0.1] * 2 + [0.05] + [0.025] * 4 + [0.0125] * 5
    assert [warning.split(" was ")[0] for warning in result.warnings] == ["step 2", "step 3", "step 7"]
    assert [math.isfinite(loss) for loss in result.history.losses] == [step not in (2, 3, 7) for step in range(1, 13)]
    assert torch.isfinite(result.trained.positive.tokens).all()
    finite = [loss for loss in result.history.losses if math.isfinite(loss)]
    assert result.trained.info.final_loss == pytest.approx(sum(finite) / len(finite))
    assert "NaN" not in json.dumps(vars(result.trained.info))


def test_a_run_without_one_finite_loss_is_still_described(tiny: Any, encoded: MakeReference) -> None:
    result = train_context_tokens(Unsteady(tiny, frozenset({1, 2})), [encoded()], replace(SHORT, steps=2))
    assert "final loss: not measured" in describe(result)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_training_that_keeps_diverging_ends_with_its_last_good_tokens(
    tiny: Any, encoded: MakeReference, ema: float
) -> None:
    with pytest.raises(
        TrainingDiverged, match="training diverged: step 7 .* expected a learning rate below 0.1$"
    ) as caught:
        train_context_tokens(
            Unsteady(tiny, frozenset({4, 5, 6, 7})), [encoded()], replace(SHORT, ema=ema, evaluations=12)
        )
    tokens = caught.value.trained.positive.tokens
    assert tokens.shape == (2, 3, 6)
    assert torch.isfinite(tokens).all()
    assert tokens.abs().max() > 0.1, "three steps of training are in them"


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_rate_beyond_all_bounds_leaves_finite_tokens(tiny: Any, encoded: MakeReference, ema: float) -> None:
    settings = replace(STEADY, learning_rate="1e6", ema=ema, token_norm="raw")
    with pytest.raises(TrainingDiverged) as caught:
        train_context_tokens(Unsteady(tiny, limit=100), [encoded()], settings)
    assert caught.value.trained.positive.tokens.abs().max() < 1


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_step_that_went_too_far_is_taken_back(tiny: Any, encoded: MakeReference, ema: float) -> None:
    # Halving the rate could not help as long as the tokens stay where the model breaks.
    run = context_trainer(Unsteady(tiny, limit=0.8), [encoded()], replace(STEADY, ema=ema))
    run.step(1.0)
    assert run.trainable.leaves[0].abs().max() > 0.8
    assert math.isnan(run.step(1.0).loss)
    assert run.trainable.kept()["tokens"].abs().max() < 0.2, "the tokens before the first step"
    run.step(1.0)
    assert 0.3 < run.trainable.leaves[0].abs().max() <= 0.8
    assert len(run.warnings) == 1


def test_a_run_that_is_finished_by_hand_gives_what_it_has_learned_so_far(tiny: Any, encoded: MakeReference) -> None:
    told: list[StepReport] = []
    settings = replace(STEADY, steps=12, evaluations=1)
    finished = train_context_tokens(tiny, [encoded()], settings, told.append, finish=lambda: len(told) == 4)
    assert [report.step for report in told] == [1, 2, 3, 4, 5]
    assert told[-1].evaluation is not None, "what is handed on has been measured"
    assert finished.kept_step == 5
    assert finished.trained.info.steps == 5
    assert finished.warnings == ["finished by hand after step 5 of 12"]
    assert "note: finished by hand after step 5 of 12" in describe(finished)
    assert finished.after.inside < finished.before.inside


def test_a_run_that_is_finished_in_its_last_step_ends_as_any_other(tiny: Any, encoded: MakeReference) -> None:
    whole = train_context_tokens(tiny, [encoded()], FEW)
    asked = train_context_tokens(tiny, [encoded()], replace(FEW), finish=iter([False, True]).__next__)
    assert asked.warnings == whole.warnings == []
    assert torch.equal(asked.trained.positive.tokens, whole.trained.positive.tokens)
