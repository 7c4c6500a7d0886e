"""The fast path through ComfyUI's own blocks: the gradient of its forwards, on inputs that nobody has seen, and left
where it does not fit."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from small_models import anima, load_model, noise, padded_context

from anima_fast_train.nodes.anima import fast_blocks
from anima_fast_train.nodes.models.backbone import ModelBackbone, predicting_backbone
from anima_fast_train.nodes.models.patch import patch_model
from anima_fast_train.training.conditioning import Conditioning
from anima_fast_train.training.fast_path.block import Kept
from anima_fast_train.training.trainables.context_file import ReferenceContext
from anima_fast_train.training.trainables.context_tokens import ContextTokens
from anima_fast_train.training.training_info import TrainingInfo

FRESH = int(torch.randint(2**31, ()))  # other inputs in each run; named where a check fails


@contextmanager
def opened(model=None, precision: str = "auto", fast: bool = True) -> Iterator[ModelBackbone]:
    """fast False: a backbone whose blocks take ComfyUI's own forwards, since no difference is small enough."""
    largest = fast_blocks.LARGEST_DIFFERENCE, fast_blocks.LARGEST_DIFFERENCE_OF_HALVES
    if not fast:
        fast_blocks.LARGEST_DIFFERENCE, fast_blocks.LARGEST_DIFFERENCE_OF_HALVES = {}, -1.0
    try:
        with predicting_backbone(anima() if model is None else model, "off", precision) as backbone:
            yield backbone
    finally:
        fast_blocks.LARGEST_DIFFERENCE, fast_blocks.LARGEST_DIFFERENCE_OF_HALVES = largest


@contextmanager
def counted() -> Iterator[list[Kept]]:
    """What the blocks kept that took the fast path with tokens."""
    original, taken = fast_blocks.through_block, []

    def through_block(block, x, tokens, shared, kept):
        taken.extend([kept] if tokens.by_attention() else [])
        return original(block, x, tokens, shared, kept)

    fast_blocks.through_block = through_block
    try:
        yield taken
    finally:
        fast_blocks.through_block = original


def comfyuis(model=None, precision: str = "fp32", **prompt) -> tuple[torch.Tensor, torch.Tensor]:
    with opened(model, precision, fast=False) as backbone, counted() as taken:
        result = gradient(backbone, None, **prompt)
    assert not taken
    return result


def ours(kept: list[Kept], model=None, precision: str = "fp32", **prompt) -> tuple[torch.Tensor, torch.Tensor]:
    with opened(model, precision) as backbone, counted() as taken:
        result = gradient(backbone, kept, **prompt)
    assert taken == kept
    return result


def gradient(
    backbone: ModelBackbone, kept: list[Kept] | None, rows: int = 2, used: int = 9, length: int = 512, count: int = 5
) -> tuple[torch.Tensor, torch.Tensor]:
    """Prediction and gradient of the tokens, half of which have an attention of their own."""
    if kept is not None:
        backbone.kept = lambda latents, adapters=False: kept
    latent = noise(rows, 16, 1, 12, 8, seed=FRESH)
    conditioning = Conditioning(padded_context(rows, used, length, seed=FRESH + 1))
    conditioning.vectors[0, used // 2 :] = 0  # rows differ in length
    tokens = noise(backbone.num_blocks, count, backbone.context_dim, seed=FRESH + 2).requires_grad_()
    beside = ContextTokens(tokens, own=count // 2).placed_at_level(0.5)
    prediction = backbone.predict(latent, torch.linspace(0.2, 0.9, rows), conditioning, beside)
    (prediction * noise(*prediction.shape, seed=FRESH + 3)).sum().backward()
    return prediction.detach(), tokens.grad


def check_every_lever_has_the_gradient_of_comfyuis_forward() -> None:
    """In bfloat16 both are off by several percent after ten blocks of random weights, so the fast path has to be no
    further from float32 than ComfyUI's forward by more than chance: on six seeds it was 0.92 to 1.30 times as far."""
    exact, plain = comfyuis(), comfyuis(precision="bf16")
    for precision in ("fp32", "bf16"):
        for kept in Kept:
            fast = ours([kept] * 10, precision=precision)
            compare(fast, exact, 1e-4 if precision == "fp32" else 1.5 * off_by(plain, exact), (precision, kept))


def check_blocks_may_keep_different_amounts() -> None:
    mixed = [Kept(number % len(Kept)) for number in range(10)]
    compare(ours(mixed), comfyuis(), 1e-4, mixed)


def check_prompts_of_any_length_and_any_number_of_tokens() -> None:
    for used, length, count in ((0, 512, 1), (512, 512, 16), (500, 512, 12), (505, 512, 12), (1, 512, 300), (3, 20, 6)):
        prompt = {"used": used, "length": length, "count": count}
        compare(ours([Kept.ALL] * 10, **prompt), comfyuis(**prompt), 1e-4, prompt)


def check_a_patch_in_the_blocks_is_obeyed() -> None:
    model = anima().clone()
    model.set_model_patch(lambda args: {**args, "x": args["x"] * 0.5}, "mlp_patch")
    exact = comfyuis(model)
    with opened(model, "fp32") as backbone, counted() as taken:
        patched = gradient(backbone, [Kept.NO_HIDDEN] * 10)
    assert not taken
    compare(patched, exact, 1e-4, "patched")
    assert off_by(comfyuis(), exact) > 0.01


def check_a_context_on_the_wired_model_acts_on_the_fast_path_too() -> None:
    tokens = noise(10, 4, 1024, seed=FRESH + 7)
    model = patch_model(
        anima(), ReferenceContext(ContextTokens(tokens, own=2), info=TrainingInfo(model_family="anima"))
    )
    compare(ours([Kept.ALL] * 10, model), comfyuis(model), 1e-4, "context")
    assert off_by(comfyuis(), comfyuis(model)) > 0.01


def check_another_forward_of_comfyui_is_noticed() -> None:
    """A ComfyUI whose blocks compute something else trains with that."""
    model = load_model()
    kind = type(model.model.diffusion_model.blocks[0])
    original, said = kind.forward, []
    kind.forward = lambda self, x, *args, **more: 1.5 * original(self, x, *args, **more)
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logging.getLogger().addHandler(handler)
    try:
        exact = comfyuis(model)
        said.clear()
        with opened(model, "fp32") as backbone, counted() as taken:
            noticed = gradient(backbone, [Kept.ALL] * 10)
    finally:
        kind.forward = original
        logging.getLogger().removeHandler(handler)
    assert not taken
    compare(noticed, exact, 1e-4, "other forward")
    assert any("fast path differs" in line for line in said), said


def compare(fast: tuple, exact: tuple, largest: float, what: object) -> None:
    error = off_by(fast, exact)
    assert error < largest, f"{what} is off by {error:.2g}, expected {largest:.2g}, seed {FRESH}"


def off_by(fast: tuple, exact: tuple) -> float:
    """Of prediction and gradient, the larger relative error."""
    return max(float((mine - theirs).norm() / theirs.norm()) for mine, theirs in zip(fast, exact, strict=True))
