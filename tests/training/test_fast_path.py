"""The fast path gives the gradients of the plain loop, on inputs that nobody has seen, and keeps less."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from anima_fast_train.training.conditioning import Conditioning, cat, of_one_length
from anima_fast_train.training.fast_path.block import Kept
from anima_fast_train.training.fast_path.memory_plan import SHARE_OF_FREE, Activations
from anima_fast_train.training.fast_path.prompt_rows import attend_to_prompt, prompt_rows
from anima_fast_train.training.fast_path.rotary import normed_and_rotated
from anima_fast_train.training.measurements.bench import BareStep
from anima_fast_train.training.measurements.bench_model import PRESETS, RandomBackbone
from anima_fast_train.training.measurements.step_memory import memory_of
from anima_fast_train.training.miniature.architecture import MiniatureTransformer, TransformerSize, rotate
from anima_fast_train.training.miniature.fast_forward import fast_forward
from anima_fast_train.training.trainables.context_tokens import ContextTokens

FRESH = int(torch.randint(2**31, ()))  # other inputs in each run; named where a test fails
SIZE = TransformerSize(model_channels=96, num_blocks=3, num_heads=4, crossattn_emb_channels=40, adaln_lora_dim=8)


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(FRESH + seed)).to(dtype)


def transformer(size: TransformerSize = SIZE, dtype: torch.dtype = torch.float32) -> MiniatureTransformer:
    model = MiniatureTransformer(size)
    with torch.no_grad():
        for number, weight in enumerate(model.parameters()):
            weight.copy_(noise(*weight.shape, seed=number) / weight.shape[-1] ** 0.5 if weight.ndim > 1 else 1.0)
    return model.to(dtype).requires_grad_(False)


def both(
    model: MiniatureTransformer, kept: list[Kept], used: int = 7, length: int = 48, count: int = 3
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """(prediction, gradient of the tokens) of the fast path and of the plain loop, in the dtype of the model. Half of
    the tokens have an attention of their own."""
    dtype, size = model.x_embedder.proj[1].weight.dtype, model.size
    x, level = noise(2, 16, 12, 8, seed=100, dtype=dtype), torch.tensor([20.0, 90.0])
    context = noise(2, length, size.crossattn_emb_channels, seed=101, dtype=dtype)
    context[:, used:] = 0
    context[1, used // 2 :] = 0  # rows differ in length
    results = []
    for fast in (True, False):
        tokens = noise(size.num_blocks, count, size.crossattn_emb_channels, seed=102).requires_grad_()
        beside = ContextTokens(tokens, own=count // 2).placed_at_level(0.5)
        prediction = (
            fast_forward(model, x, level, context, used, beside, kept) if fast else model(x, level, context, beside)
        ).float()
        (prediction * noise(*prediction.shape, seed=103)).sum().backward()
        assert tokens.grad is not None
        results.append((prediction.detach(), tokens.grad))
    return results[0], results[1]


def off_by(mine: tuple[Tensor, ...], theirs: tuple[Tensor, ...]) -> float:
    return max(float((a - b).norm() / b.norm()) for a, b in zip(mine, theirs, strict=True))


@pytest.mark.parametrize("kept", list(Kept))
def test_every_lever_has_the_gradient_of_the_plain_loop(kept: Kept) -> None:
    assert off_by(*both(transformer(), [kept] * 3)) < 1e-4, FRESH


@pytest.mark.parametrize("kept", list(Kept))
def test_in_half_precision_too(kept: Kept) -> None:
    """Of one block: rounding alone puts two plain loops apart by more than that after several."""
    size = TransformerSize(**{**SIZE.__dict__, "num_blocks": 1})
    assert off_by(*both(transformer(size, torch.bfloat16), [kept])) < 2e-2, FRESH


def test_blocks_may_keep_different_amounts() -> None:
    assert off_by(*both(transformer(), [Kept.INPUT, Kept.NO_HIDDEN, Kept.NO_ROTATED])) < 1e-4, FRESH


@pytest.mark.parametrize(
    ("used", "length", "count"), [(1, 48, 1), (48, 48, 6), (44, 48, 6), (42, 48, 6), (2, 48, 60), (40, 48, 8)]
)
def test_prompts_of_any_length_beside_any_number_of_tokens(used: int, length: int, count: int) -> None:
    assert off_by(*both(transformer(), [Kept.ALL] * 3, used, length, count)) < 1e-4, FRESH


def test_zeros_are_counted_as_the_sinks_they_are() -> None:
    words, zeros = noise(1, 5, 16, seed=1), 507
    read, bias = prompt_rows(torch.cat((words, torch.zeros(1, zeros, 16)), 1), 5).beside(None)
    assert read.shape[1] == len(bias) < 20
    q, full = noise(1, 2, 9, 8, seed=2), torch.cat((words, torch.zeros(1, zeros, 16)), 1)
    heads = [part.unflatten(-1, (2, 8)).transpose(1, 2) for part in (read, full)]
    expected = torch.nn.functional.scaled_dot_product_attention(q, heads[1], heads[1])
    torch.testing.assert_close(attend_to_prompt(q, heads[0], heads[0], bias), expected, rtol=1e-5, atol=1e-6)


def test_attention_as_it_is_elsewhere_than_on_a_cpu_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = [noise(2, 2, 9, 8, seed=1), noise(2, 2, 16, 8, seed=2), noise(2, 2, 16, 8, seed=3)]
    bias = torch.zeros(16)
    bias[-1] = 6.0
    results = []
    for kind in ("cpu", "elsewhere"):
        q, k, v = (part.clone().requires_grad_() for part in inputs)
        if kind == "elsewhere":
            out = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias.expand(1, 1, 9, -1))
        else:
            out = attend_to_prompt(q, k, v, bias)
        (out * noise(*out.shape, seed=4)).sum().backward()
        results.append((out.detach(), q.grad, k.grad, v.grad))
    assert off_by(*results) < 1e-5, FRESH


def test_norm_and_rotation_have_the_gradient_of_the_written_out_ones() -> None:
    weight, angle, upstream = noise(8, seed=1), noise(6, 4, seed=2), noise(2, 6, 3, 8, seed=3)
    results = []
    for written_out in (False, True):
        x = noise(2, 6, 3, 8, seed=4).requires_grad_()
        if written_out:
            table = torch.stack((angle.cos(), angle.sin()), -1)
            normed = torch.nn.functional.rms_norm(x, (8,), weight, 1e-6)
            y = rotate(normed.transpose(1, 2), table).transpose(1, 2)
        else:
            y = normed_and_rotated(x, angle.cos(), angle.sin(), weight, 1e-6)
        (y * upstream).sum().backward()
        results.append((y.detach(), x.grad))
    assert off_by(*results) < 1e-5, FRESH


def step(model: MiniatureTransformer, kept: list[Kept] | None, rows: int, side: int) -> Callable[[], None]:
    """A forward and a backward pass; kept None: of the plain loop."""
    size, dtype = model.size, model.x_embedder.proj[1].weight.dtype
    x, level = noise(rows, 16, side, side, dtype=dtype), torch.full((rows,), 50.0)
    context = torch.zeros(rows, 64, size.crossattn_emb_channels, dtype=dtype)
    context[:, :6] = 1
    tokens = noise(size.num_blocks, 8, size.crossattn_emb_channels, seed=1).requires_grad_()

    def run() -> None:
        if kept is None:
            prediction = model(x, level, context, tokens)
        else:
            prediction = fast_forward(model, x, level, context, 6, tokens, kept)
        prediction.float().square().mean().backward()

    run()  # the gradients' own memory is there from now on
    return run


WIDE = TransformerSize(model_channels=256, num_blocks=4, num_heads=4, crossattn_emb_channels=48, adaln_lora_dim=16)


@pytest.mark.parametrize("kept", list(Kept))
@pytest.mark.parametrize(("dtype", "rows", "side"), [(torch.float32, 1, 40), (torch.bfloat16, 2, 32)])
def test_a_step_takes_the_memory_that_was_predicted_and_leaves_none(
    kept: Kept, dtype: torch.dtype, rows: int, side: int
) -> None:
    model = transformer(WIDE, dtype)
    predicted = Activations(4, 256, 4, rows * side * side // 4, dtype.itemsize, dtype.itemsize).of_step([kept] * 4)
    gc.disable()  # a graph that only the garbage collector could end would count as left
    try:
        used = memory_of(step(model, [kept] * 4, rows, side), torch.device("cpu"))
    finally:
        gc.enable()
    assert used.left == 0
    assert 0.85 < predicted / used.peak < 1.15
    if kept >= Kept.NO_HIDDEN:
        assert used.peak < 0.6 * memory_of(step(model, None, rows, side), torch.device("cpu")).peak


@pytest.mark.parametrize("kept", list(Kept))
@pytest.mark.parametrize("changed", [{"side": 64, "batch": 1}, {"tokens": 256}, {"side": 256}])
def test_small_pictures_and_many_tokens_are_foretold_too(kept: Kept, changed: dict[str, int]) -> None:
    preset = replace(PRESETS["miniature"], **changed)  # type: ignore[arg-type]
    backbone = RandomBackbone(preset, torch.device("cpu"))
    backbone.kept = [kept] * backbone.num_blocks
    bare = BareStep(backbone)
    bare.gradients()
    used = memory_of(bare.gradients, torch.device("cpu")).peak
    assert 0.8 < preset.activations().of_step(backbone.kept) / used < 1.2


def test_no_more_is_forgotten_than_has_to_be() -> None:
    shape = Activations(blocks=10, width=256, heads=4, positions=1024, layer_size=2, residual_size=2)
    sizes = [shape.of_step([kept] * 10) for kept in Kept]
    assert sizes == sorted(sizes, reverse=True)
    assert shape.fitting(1e15) == [Kept.ALL] * 10
    assert shape.fitting(0) == [Kept.INPUT] * 10
    for free in (sizes[0], sizes[1], sizes[2]):
        chosen = shape.fitting(free)
        assert len(set(chosen)) <= 2 and max(chosen) - min(chosen) <= 1
        assert shape.of_step(chosen) <= free
        firsts = chosen.count(max(chosen)) if len(set(chosen)) > 1 else 10
        more = [*chosen[: firsts - 1], Kept(max(0, chosen[firsts - 1] - 1)), *chosen[firsts:]]
        assert chosen == [Kept.ALL] * 10 or shape.of_step(more) > SHARE_OF_FREE * free


def test_a_conditioning_knows_how_much_of_it_is_used() -> None:
    vectors = torch.zeros(1, 10, 4)
    vectors[:, :3] = 1
    vectors[:, 5] = 1
    known = Conditioning(vectors).knowing()
    assert known.used == 6 == Conditioning(vectors).used_length()
    assert Conditioning(torch.zeros(1, 10, 4)).knowing().used == 0
    longer = Conditioning(torch.ones(1, 12, 4)).knowing()
    assert cat(of_one_length([known, longer])).used == 12
    assert cat([known, Conditioning(vectors)]).used is None
    assert known.expand(3).used == 6
