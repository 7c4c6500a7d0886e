"""Adapters find a model's layers, act in them for as long as they are asked to, and leave no trace."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from adaptable_model import WIDTH, denoiser
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from anima_fast_train.training.adapters.acting import acting, acting_again, adaptable
from anima_fast_train.training.adapters.kinds import nearly_square
from anima_fast_train.training.adapters.layers import Layer, adaptable_layers
from anima_fast_train.training.adapters.low_rank import with_low_rank
from anima_fast_train.training.adapters.plan import KINDS, AdapterPlan, Adapters, plan_of
from anima_fast_train.training.lora_settings import LoraSettings

ALL = LoraSettings(rank=2, layers="all linear layers")


def inputs(rows: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    shapes = (rows, 4, 6, 6), (rows,), (rows, 5, WIDTH)
    x, level, seen = (torch.randn(*shape, generator=generator) for shape in shapes)
    return x, level, seen


def random_adapters(plan: AdapterPlan, seed: int = 0) -> Adapters:
    generator = torch.Generator().manual_seed(seed)
    return Adapters(plan, plan.units() * torch.randn(plan.size, generator=generator))


def plan_for(model: nn.Module, settings: LoraSettings = ALL) -> AdapterPlan:
    return plan_of(adaptable_layers(model, without=("refiner",)), settings, "small")


def test_layers_are_named_as_in_the_model_and_known_by_what_they_are_for():
    found = {layer.name: layer.purpose for layer in adaptable_layers(denoiser(blocks=1), without=("refiner",))}
    assert found == {
        "stem": "convolution",
        "blocks.0.attn2.to_q": "attention",
        "blocks.0.attn2.to_k": "attention",
        "blocks.0.attn2.to_v": "attention",
        "blocks.0.attn2.to_out.0": "attention",
        "blocks.0.adaln_modulation_cross_attn": "other",
        "blocks.0.ff.0": "mlp",
        "blocks.0.ff.2": "mlp",
        "final": "other",
    }


@pytest.mark.parametrize(
    ("name", "purpose"),
    [
        ("double_blocks.3.img_attn.qkv", "attention"),
        ("double_blocks.3.img_mlp.0", "mlp"),
        ("double_blocks.3.img_mod.lin", "other"),
        ("layers.2.attention.qkv", "attention"),
        ("layers.2.feed_forward.w1", "mlp"),
        ("layers.2.adaLN_modulation.1", "other"),
        ("time_embed.0", "other"),
    ],
)
def test_names_of_other_families_are_understood(name: str, purpose: str):
    model = nn.Module()
    parts, inner = name.split("."), model
    for part in parts[:-1]:
        inner.add_module(part, nn.Module())
        inner = getattr(inner, part)
    inner.add_module(parts[-1], nn.Linear(3, 3))
    assert [layer.purpose for layer in adaptable_layers(model)] == [purpose]


def test_a_module_whose_weight_is_not_there_is_no_layer():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].weight = None
    assert [layer.name for layer in adaptable_layers(model)] == ["1"]


def test_the_unit_of_a_layer_is_the_size_of_its_weight_and_usable_where_that_is_nothing():
    model = nn.Sequential(nn.Linear(16, 2), nn.Linear(16, 2))
    nn.init.constant_(model[0].weight, -3.0)
    nn.init.zeros_(model[1].weight)
    assert [layer.unit for layer in adaptable_layers(model)] == [3.0, 0.25]


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_begins_as_nothing(kind: str):
    model = denoiser()
    plan = plan_for(model, LoraSettings(rank=2, kind=kind))
    start = Adapters(plan, plan.units() * plan.start(torch.Generator().manual_seed(0)))
    plain = model(*inputs())
    with adaptable(model), acting(start):
        assert torch.equal(model(*inputs()), plain)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_added_to_an_output_is_what_the_changed_weight_gives(kind: str):
    model = denoiser()
    plan = plan_for(model, LoraSettings(rank=2, kind=kind, layers="all linear layers"))
    adapters = random_adapters(plan)
    with adaptable(model), acting(adapters), torch.no_grad():
        moved = model(*inputs())
    assert not torch.allclose(moved, model(*inputs()), atol=1e-2)
    for name in plan.layers:
        weight = model.get_submodule(name).weight
        weight.data += plan.kind.weight(adapters.of_layer(name)).view_as(weight)
    torch.testing.assert_close(model(*inputs()), moved, atol=1e-4, rtol=1e-4)


def test_without_an_adapter_a_model_gives_the_same_bits():
    model = denoiser()
    plain = model(*inputs())
    with adaptable(model):
        assert torch.equal(model(*inputs()), plain)
        with acting(random_adapters(plan_for(model))):
            assert not torch.equal(model(*inputs()), plain)
        assert torch.equal(model(*inputs()), plain)


def test_a_layer_without_an_adapter_keeps_its_bits_beside_others_with_one():
    model = denoiser()
    attention = plan_for(model, LoraSettings(rank=2, layers="attention"))
    assert all(".attn2." in name for name in attention.layers)
    with adaptable(model), acting(random_adapters(attention)):
        assert torch.equal(model.final(torch.ones(1, WIDTH)), denoiser().final(torch.ones(1, WIDTH)))


def test_forwards_come_back_after_an_error_whichever_they_were():
    model = denoiser()
    own = lambda x: x + 1  # noqa: E731  what a LoRA in bypass mode leaves there
    model.final.forward = own

    def cancelled() -> None:
        with adaptable(model):
            assert model.final.forward is not own
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cancelled()
    assert model.final.forward is own
    assert all("forward" not in module.__dict__ for name, module in model.named_modules() if name != "final")


def test_adapters_act_on_top_of_a_forward_that_somebody_else_gave_a_layer():
    model = denoiser()
    plain = model(*inputs())
    first, second = (random_adapters(plan_for(model), seed) for seed in (1, 2))

    def bypassed(name: str, layer: nn.Module):
        forward = layer.forward
        return lambda x: first.forward(name, layer, forward, x)

    for name in first.plan.layers:
        layer = model.get_submodule(name)
        layer.forward = bypassed(name, layer)
    once = model(*inputs())
    with adaptable(model), acting(second):
        twice = model(*inputs())
    assert not torch.allclose(once, plain) and not torch.allclose(twice, once)
    assert torch.equal(model(*inputs()), once)


def test_a_model_holds_no_adapter_as_a_part_of_it():
    model = denoiser()
    names = list(model.state_dict()), [name for name, _ in model.named_modules()]
    with adaptable(model), acting(random_adapters(plan_for(model))):
        assert (list(model.state_dict()), [name for name, _ in model.named_modules()]) == names


def test_what_is_computed_again_in_the_backward_pass_has_the_adapters_of_the_first_time():
    model = denoiser()
    plan = plan_for(model)
    gradients = []
    for again in (False, True):
        values = random_adapters(plan).values.requires_grad_()
        with adaptable(model):
            with acting(Adapters(plan, values)):
                if again:
                    out = checkpoint(model, *inputs(), use_reentrant=False, context_fn=acting_again)
                else:
                    out = model(*inputs())
            with acting(random_adapters(plan, seed=9)):  # somebody else, while this one looks back
                out.square().sum().backward()
        gradients.append(values.grad)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_agree_with_finite_differences(kind: str):
    model = denoiser(blocks=1).double()
    plan = plan_for(model, LoraSettings(rank=1, kind=kind))
    values = (plan.units() * torch.randn(plan.size, generator=torch.Generator().manual_seed(0))).double()
    batch = [tensor.double() for tensor in inputs(1)]

    def predicted(values: Tensor) -> Tensor:
        with adaptable(model), acting(Adapters(plan, values)):
            return model(*batch).square().mean()

    assert torch.autograd.gradcheck(predicted, values.requires_grad_())


@pytest.mark.parametrize("holds", ["nothing", "its input", "a view", "another dtype", "columns"])
def test_a_low_rank_is_added_to_whatever_the_layer_gives_back(holds: str):
    generator = torch.Generator().manual_seed(1)
    layer = nn.Linear(6, 6).requires_grad_(False)
    kept = torch.randn(2, 3, 12, generator=generator)
    forwards: dict[str, Callable[[Tensor], Tensor]] = {
        "nothing": layer,
        "its input": lambda x: x,
        "a view": lambda x: kept.requires_grad_()[..., :6],
        "another dtype": lambda x: layer(x).double(),
        "columns": lambda x: layer(x).transpose(-1, -2).contiguous().transpose(-1, -2),
    }
    x, down, up = (torch.randn(*shape, generator=generator) for shape in ((2, 3, 6), (2, 6), (6, 2)))
    before = kept.clone()
    results = []
    for added in (with_low_rank, lambda own, x, down, up: own(x) + x @ down.T @ up.T):
        leaves = [tensor.clone().requires_grad_() for tensor in (x, down, up)]
        out = added(forwards[holds], *leaves)
        out.square().sum().backward()
        results.append((out, *(leaf.grad for leaf in leaves)))
    for ours, plain in zip(*results, strict=True):
        torch.testing.assert_close(ours, plain, check_dtype=False)
    assert torch.equal(kept, before)


def test_a_step_changes_a_model_by_the_same_share_whatever_its_units():
    layers = [Layer("a", "attention", 12, 10, unit=unit) for unit in (0.01, 1.0)]
    leaf = torch.randn(12 * 2 + 2 * 10, generator=torch.Generator().manual_seed(0))
    small, large = (
        plan_of([layer], LoraSettings(rank=2), "small").kind.weight(
            Adapters(plan := plan_of([layer], LoraSettings(rank=2), "small"), plan.units() * leaf).of_layer("a")
        )
        for layer in layers
    )
    torch.testing.assert_close(100 * small, large)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("height", "width", "rank"), [(64, 64, 4), (512, 96, 8), (32, 256, 1)])
def test_factors_of_1_change_a_weight_by_about_as_much_as_there_is_of_it(kind: str, height: int, width: int, rank: int):
    layer = Layer("a", "attention", height, width, unit=0.3)
    factors = KINDS[kind].factors(layer, rank)
    plan = AdapterPlan(KINDS[kind], {"a": factors})
    values = plan.units() * torch.randn(plan.size, generator=torch.Generator().manual_seed(0))
    change = KINDS[kind].weight(plan.split(values)["a"])
    assert 0.15 < float(change.square().mean().sqrt()) < 0.6


def test_alpha_halves_what_an_adapter_does():
    layer = Layer("a", "attention", 6, 5)
    plan = plan_of([layer], LoraSettings(rank=2), "small")
    whole, half = (
        Adapters(plan, plan.units() * plan.strengths(LoraSettings(rank=2, alpha=alpha).strength) * 0.7)
        for alpha in (0.0, 1.0)
    )
    torch.testing.assert_close(plan.kind.weight(whole.of_layer("a")), 2 * plan.kind.weight(half.of_layer("a")))


def test_convolutions_are_adapted_where_they_are_asked_for():
    model = denoiser()
    assert "stem" not in plan_for(model, LoraSettings(rank=2)).layers
    assert "stem" in plan_for(model, LoraSettings(rank=2, kind="LoCon")).layers


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (LoraSettings(rank=2, kind="LoCon"), "lora_kind is 'LoCon' and the model (small) has no convolutions"),
        (
            LoraSettings(rank=9),
            f"lora_rank is 9, expected at most {WIDTH}: the width that a LoRA has in blocks.0.attn2",
        ),
        (LoraSettings(rank=5, kind="LoKr"), "lora_rank is 5, expected at most 4"),
    ],
)
def test_what_a_model_cannot_be_given_is_refused(settings: LoraSettings, words: str):
    with pytest.raises(ValueError, match=re.escape(words)):
        plan_for(denoiser(convolutions=False), settings)


def test_a_model_without_attention_says_so():
    with pytest.raises(ValueError, match="lora_layers is 'attention' and the model \\(small\\) has no such layers"):
        plan_of(adaptable_layers(nn.Sequential(nn.Linear(2, 2))), LoraSettings(rank=1, layers="attention"), "small")


@pytest.mark.parametrize(("width", "factors"), [(2048, (32, 64)), (8192, (64, 128)), (192, (12, 16)), (7, (1, 7))])
def test_widths_are_taken_apart_nearly_square(width: int, factors: tuple[int, int]):
    assert nearly_square(width) == factors
