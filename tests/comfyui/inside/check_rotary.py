"""The fused rotary op gets the gradient of its plain twin, and only while training runs."""

from __future__ import annotations

import comfy.quant_ops
import comfy_kitchen
import torch
from comfy_kitchen.backends.eager.rope import rms_rope_split_half as plain_twin
from small_models import noise, raises

from anima_fast_train.nodes.anima.rotary import differentiable, differentiable_rotary

ROWS, POSITIONS, HEADS, HEAD_DIM = 2, 12, 3, 16


def arguments(dtype: torch.dtype) -> list[torch.Tensor]:
    """Queries, keys, rotations, scales, as Anima's self-attention passes them; the angles differ for every pair and
    position."""
    angle = noise(POSITIONS, HEAD_DIM // 2, seed=3)
    rotation = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=-1).unflatten(-1, (2, 2))
    q, k = noise(ROWS, POSITIONS, HEADS, HEAD_DIM, seed=1), noise(ROWS, POSITIONS, HEADS, HEAD_DIM, seed=2)
    scales = noise(HEAD_DIM, seed=4) + 1, noise(HEAD_DIM, seed=5) + 1
    return [q.to(dtype), k.to(dtype), rotation[None, :, None], scales[0].to(dtype), scales[1].to(dtype)]


def gradients(operation, dtype: torch.dtype) -> list[torch.Tensor]:
    q, k, rotation, q_scale, k_scale = arguments(dtype)
    learned = [tensor.requires_grad_() for tensor in (q, k, q_scale, k_scale)]
    out_q, out_k = operation(q, k, rotation, q_scale, k_scale, 1e-6)
    weights = noise(*out_q.shape, seed=6), noise(*out_k.shape, seed=7)
    (out_q.float() * weights[0] + out_k.float() * weights[1]).sum().backward()
    return [tensor.grad for tensor in learned]


def check_gradient_is_that_of_the_plain_twin() -> None:
    expected = gradients(plain_twin, torch.float32)
    with differentiable_rotary():
        actual = gradients(comfy.quant_ops.ck.rms_rope_split_half, torch.float32)
    for one, other in zip(expected, actual, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def check_gradient_in_bfloat16_is_close_to_that_in_float32() -> None:
    expected = gradients(plain_twin, torch.float32)
    with differentiable_rotary():
        actual = gradients(comfy.quant_ops.ck.rms_rope_split_half, torch.bfloat16)
    for one, other in zip(expected, actual, strict=True):
        assert other.dtype == torch.bfloat16
        torch.testing.assert_close(one, other.float(), rtol=0.05, atol=0.05)


def check_gradient_agrees_with_finite_differences() -> None:
    q, k, *rest = (tensor.double() for tensor in arguments(torch.float32))
    direction, step = noise(*q.shape, seed=8).double(), 1e-4
    weight = noise(*q.shape, seed=9).double()

    def value(moved: torch.Tensor) -> torch.Tensor:
        # The fused op knows no float64, in which alone a difference this small is exact; its twin does.
        return (differentiable(plain_twin)(moved, k, *rest, 1e-6)[0] * weight).sum()

    learned = q.clone().requires_grad_()
    value(learned).backward()
    numeric = (value(q + step * direction) - value(q - step * direction)) / (2 * step)
    torch.testing.assert_close((learned.grad * direction).sum(), numeric, rtol=1e-4, atol=1e-4)


def check_a_missing_key_scale_is_the_query_scale() -> None:
    q, k, rotation, q_scale, _ = arguments(torch.float32)
    with differentiable_rotary():
        q_scale.requires_grad_()
        comfy_kitchen.rms_rope_split_half(q, k, rotation, q_scale)[1].sum().backward()
    assert q_scale.grad.abs().max() > 0


def check_output_is_the_fused_output_bit_by_bit() -> None:
    q, k, rotation, q_scale, k_scale = arguments(torch.bfloat16)
    expected = comfy_kitchen.rms_rope_split_half(q, k, rotation, q_scale, k_scale, 1e-6)
    with differentiable_rotary():
        actual = comfy_kitchen.rms_rope_split_half(q, k, rotation, q_scale, k_scale, 1e-6)
    assert all(torch.equal(one, other) for one, other in zip(expected, actual, strict=True))


def check_the_op_is_the_old_one_again_afterwards() -> None:
    before = comfy_kitchen.rms_rope_split_half
    with differentiable_rotary():
        assert comfy_kitchen.rms_rope_split_half is not before
    assert comfy_kitchen.rms_rope_split_half is before
    with raises(KeyError), differentiable_rotary():
        raise KeyError
    assert comfy_kitchen.rms_rope_split_half is before
