"""The file of a LoRA: named as other tools expect, the same for the same LoRA, read again in either layout."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from adaptable_model import denoiser
from safetensors import safe_open
from safetensors.torch import save_file

from anima_fast_train.training import TrainingInfo
from anima_fast_train.training.adapters.layers import Layer, adaptable_layers
from anima_fast_train.training.adapters.lora_reading import load_lora, lora_of
from anima_fast_train.training.adapters.plan import KINDS, plan_of
from anima_fast_train.training.adapters.trained_lora import TrainedLora
from anima_fast_train.training.lora_settings import LoraSettings

INFO = TrainingInfo(
    model_family="small", prompt="1girl, coat\n1girl, hat", steps=300, seed=7, image_size=(64, 96), found_rate=0.0216
)


def layers(blocks: int = 2) -> tuple[Layer, ...]:
    return adaptable_layers(denoiser(blocks=blocks), without=("refiner",))


def random_lora(settings: LoraSettings = LoraSettings(rank=2), blocks: int = 2) -> TrainedLora:
    plan = plan_of(layers(blocks), settings, "small")
    values = plan.units() * torch.randn(plan.size, generator=torch.Generator().manual_seed(0))
    return TrainedLora.of(plan, values, settings, INFO, {})


def names_in(path: Path) -> dict[str, tuple[int, ...]]:
    with safe_open(path, framework="pt") as file:
        return {name: tuple(file.get_tensor(name).shape) for name in file.keys()}


def test_names_and_shapes_are_those_of_sd_scripts(tmp_path: Path):
    random_lora(LoraSettings(rank=2, kind="LoCon", layers="attention")).save(tmp_path / "a.safetensors")
    found = names_in(tmp_path / "a.safetensors")
    assert found["lora_unet_blocks_1_attn2_to_q.lora_down.weight"] == (2, 8)
    assert found["lora_unet_blocks_1_attn2_to_q.lora_up.weight"] == (8, 2)
    assert found["lora_unet_blocks_1_attn2_to_q.alpha"] == ()
    assert found["lora_unet_stem.lora_down.weight"] == (2, 4, 3, 3)
    assert found["lora_unet_stem.lora_up.weight"] == (8, 2, 1, 1)
    assert len(found) == 3 * 9


def test_relatives_are_named_as_lycoris_names_them(tmp_path: Path):
    for kind, parts in (
        ("LoHa", {"hada_w1_a": (8, 2), "hada_w1_b": (2, 8), "hada_w2_a": (8, 2), "hada_w2_b": (2, 8), "alpha": ()}),
        ("LoKr", {"lokr_w1": (2, 2), "lokr_w2_a": (4, 2), "lokr_w2_b": (2, 4), "alpha": ()}),
    ):
        random_lora(LoraSettings(rank=2, kind=kind, layers="attention")).save(tmp_path / "a.safetensors")
        found = names_in(tmp_path / "a.safetensors")
        beginning = "lora_unet_blocks_0_attn2_to_q."
        assert {name.removeprefix(beginning): shape for name, shape in found.items() if beginning in name} == parts


def test_peft_names_carry_alpha_in_their_numbers(tmp_path: Path):
    lora = random_lora(LoraSettings(rank=2, alpha=1.0, layers="attention"))
    replace(lora, layout="peft").save(tmp_path / "a.safetensors")
    found = names_in(tmp_path / "a.safetensors")
    assert found["diffusion_model.blocks.0.attn2.to_q.lora_A.weight"] == (2, 8)
    assert found["diffusion_model.blocks.0.attn2.to_q.lora_B.weight"] == (8, 2)
    tensors, ours = replace(lora, layout="peft").tensors(), lora.factors()["blocks.0.attn2.to_q"]
    product = (
        tensors["diffusion_model.blocks.0.attn2.to_q.lora_B.weight"]
        @ (tensors["diffusion_model.blocks.0.attn2.to_q.lora_A.weight"])
    )
    torch.testing.assert_close(product, 0.5 * ours["lora_up.weight"] @ ours["lora_down.weight"])


def test_peft_has_no_names_for_relatives():
    with pytest.raises(ValueError, match="lora_layout is 'peft', which has no name for hada_w1_a"):
        replace(random_lora(LoraSettings(rank=2, kind="LoHa")), layout="peft").to_bytes()


def test_the_metadata_say_what_other_tools_look_for_and_what_was_measured(tmp_path: Path):
    random_lora(LoraSettings(rank=2, alpha=1.0)).save(tmp_path / "a.safetensors")
    with safe_open(tmp_path / "a.safetensors", framework="pt") as file:
        said = file.metadata()
    assert (said["ss_network_dim"], said["ss_network_alpha"]) == ("2", "1")
    assert said["ss_network_module"] == "networks.lora"
    assert (said["ss_seed"], said["ss_resolution"], said["ss_learning_rate"]) == ("7", "(64, 96)", "0.0216")
    assert json.loads(said["ss_tag_frequency"]) == {"masked references": {"1girl": 2, "coat": 1, "hat": 1}}
    assert said["format"] == "pt"
    assert said["anima_fast_train.model_family"] == "small"


def test_the_same_lora_gives_the_same_bytes():
    assert random_lora().to_bytes() == random_lora().to_bytes()


def test_a_lora_that_is_not_finite_is_not_written(tmp_path: Path):
    lora = random_lora()
    lora.values[3] = torch.nan
    with pytest.raises(ValueError, match="not finite"):
        lora.save(tmp_path / "a.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_lora_is_read_as_it_was_written(kind: str, tmp_path: Path):
    lora = random_lora(LoraSettings(rank=2, kind=kind, alpha=3.0))
    lora.save(tmp_path / "a.safetensors")
    read = load_lora(tmp_path / "a.safetensors", layers(), "small")
    assert torch.equal(read.values, lora.values)
    assert (read.rank, read.alpha, read.info) == (2, 3.0, INFO)
    assert list(read.plan.layers) == list(lora.plan.layers)


def test_peft_files_and_files_without_alpha_act_as_they_do_elsewhere(tmp_path: Path):
    lora = random_lora(LoraSettings(rank=2, alpha=1.0))
    replace(lora, layout="peft").save(tmp_path / "a.safetensors")
    read = load_lora(tmp_path / "a.safetensors", layers(), "small")
    assert read.strength == 1.0
    torch.testing.assert_close(
        read.plan.kind.weight(read.at_level(0).of_layer("blocks.0.ff.0")),
        lora.plan.kind.weight(lora.at_level(0).of_layer("blocks.0.ff.0")),
    )


def test_files_of_other_tools_are_read_in_half_precision_too(tmp_path: Path):
    lora = random_lora()
    halved = {name: tensor.bfloat16() for name, tensor in lora.tensors().items()}
    save_file(halved, tmp_path / "a.safetensors")
    torch.testing.assert_close(
        load_lora(tmp_path / "a.safetensors", layers(), "small").values, lora.values, atol=0, rtol=1e-2
    )


def test_the_first_ranks_act_as_strongly_as_before():
    lora = random_lora(LoraSettings(rank=4, kind="DyLoRA", alpha=2.0))
    assert (lora.with_ranks(2).rank, lora.with_ranks(2).strength) == (2, lora.strength)
    for name, factors in lora.with_ranks(2).factors().items():
        assert torch.equal(factors["lora_down.weight"], lora.factors()[name]["lora_down.weight"][:2])
        assert torch.equal(factors["lora_up.weight"], lora.factors()[name]["lora_up.weight"][:, :2])


def without(name: str) -> dict[str, torch.Tensor]:
    return {key: tensor for key, tensor in random_lora().tensors().items() if name not in key}


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        (random_lora(blocks=3).tensors(), "lora_unet_blocks_2_attn2_to_q.lora_down.weight.*no layer of this model"),
        ({"weight": torch.ones(2)}, "'weight', which is no layer of this model"),
        ({}, "the LoRA is empty"),
        (without("lora_up"), "of several kinds or of none"),
        (without("attn2_to_q.lora_down"), "nothing at blocks.0.attn2.to_q.lora_down.weight"),
        (without("blocks_0_attn2_to_q.lora_up"), "at blocks.0.attn2.to_q, which lacks a part"),
        (
            random_lora().tensors() | {"lora_unet_blocks_0_ff_0.lora_down.weight": torch.ones(2, 5)},
            r"\(2, 5\) at blocks.0.ff.0.lora_down.weight, expected \(2, 8\): it is of another model",
        ),
        (
            random_lora().tensors() | random_lora(LoraSettings(rank=1, layers="attention")).tensors(),
            "ranks 1 to 2|an alpha for each layer",
        ),
    ],
    ids=range(8),
)
def test_what_is_no_lora_of_this_model_is_refused_in_one_sentence(tensors: dict[str, torch.Tensor], words: str):
    with pytest.raises(ValueError, match=words):
        lora_of(tensors, layers(), "small")


def test_a_file_that_is_none_is_named(tmp_path: Path):
    (tmp_path / "a.safetensors").write_bytes(b"no LoRA")
    for name in ("a.safetensors", "b.safetensors", "."):
        with pytest.raises(ValueError, match="LoRA file .* cannot be used: ") as refused:
            load_lora(tmp_path / name, layers(), "small")
        assert "\n" not in str(refused.value)


def test_a_lora_of_other_metadata_says_nothing_of_its_training(tmp_path: Path):
    save_file(random_lora().tensors(), tmp_path / "a.safetensors", {"ss_steps": "many"})
    read = load_lora(tmp_path / "a.safetensors", layers(), "small")
    assert replace(read.info, pack_version="") == TrainingInfo(pack_version="")
