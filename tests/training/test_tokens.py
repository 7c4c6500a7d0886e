"""Context tokens take the place of padding, and nothing else in the conditioning changes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from anima_fast_train.training.trainables.padding_slots import free_slots, insert_tokens


def padded(used: list[int], length: int = 8, width: int = 4, dtype: torch.dtype = torch.float32) -> Tensor:
    """A context whose row i holds `used[i]` vectors before its zero padding."""
    context = torch.zeros(len(used), length, width, dtype=dtype)
    for row, count in enumerate(used):
        context[row, :count] = torch.randn(count, width, generator=torch.Generator().manual_seed(row)).to(dtype)
    return context


def tokens_of(count: int, width: int = 4, seed: int = 99) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def test_free_slots_are_the_zero_vectors_at_the_end_of_each_row():
    assert free_slots(padded([5, 0, 8])) == (3, 8, 0)


def test_a_zero_vector_between_words_is_not_free():
    context = padded([5])
    context[0, 2] = 0
    assert free_slots(context) == (3,)


def test_a_vector_with_one_nonzero_number_is_not_free():
    context = padded([3])
    context[0, 6, 1] = 1e-30
    assert free_slots(context) == (1,)


def test_tokens_take_the_last_slots_and_the_prompt_keeps_every_bit():
    context, tokens = padded([3, 5]), tokens_of(2)
    result = insert_tokens(context, tokens)
    assert result.shape == context.shape
    assert torch.equal(result[:, :6], context[:, :6])
    assert torch.equal(result[0, 6:], tokens)
    assert torch.equal(result[1, 6:], tokens)


def test_each_row_may_bring_its_own_tokens():
    tokens = torch.stack([tokens_of(2, seed=1), tokens_of(2, seed=2)])
    assert torch.equal(insert_tokens(padded([3, 5]), tokens)[:, 6:], tokens)


@pytest.mark.parametrize("used", [7, 8])
def test_a_row_without_room_extends_the_whole_batch(used):
    context, tokens = padded([2, used]), tokens_of(3)
    result = insert_tokens(context, tokens)
    assert result.shape == (2, used + 3, 4)
    assert torch.equal(result[1, :used], context[1, :used])
    assert torch.equal(result[0, :2], context[0, :2])
    assert not result[0, 2:used].any()
    assert torch.equal(result[:, used:], tokens.expand(2, 3, 4))


def test_more_tokens_than_slots_in_the_whole_context():
    context, tokens = padded([1], length=2), tokens_of(5)
    assert torch.equal(insert_tokens(context, tokens), torch.cat([context[:, :1], tokens[None]], dim=1))


@given(used=st.lists(st.integers(0, 8), min_size=1, max_size=4), count=st.integers(1, 10), data=st.data())
@settings(max_examples=80, deadline=None, derandomize=True)
def test_every_selected_row_holds_its_prompt_then_zeros_then_the_tokens(used, count, data):
    rows = data.draw(st.lists(st.booleans(), min_size=len(used), max_size=len(used)))
    context, tokens = padded(used), tokens_of(count)
    result = insert_tokens(context, tokens, rows=rows)
    for row, (words, selected) in enumerate(zip(used, rows, strict=True)):
        assert torch.equal(result[row, :words], context[row, :words])
        if selected:
            assert not result[row, words:-count].any()
            assert torch.equal(result[row, -count:], tokens)
        else:
            assert not result[row, words:].any()


@pytest.mark.parametrize("rows", [[True, False, True], torch.tensor([True, False, True])])
def test_rows_that_are_not_selected_stay_bit_identical(rows):
    context = padded([3, 8, 5])  # the row that is full does not ask for more room, since it takes no tokens
    result = insert_tokens(context, tokens_of(2), rows=rows)
    assert torch.equal(result[1], context[1])
    assert torch.equal(result[0, 6:], tokens_of(2))
    assert torch.equal(result[2, 6:], tokens_of(2))


def test_no_tokens_and_no_rows_give_the_context_itself():
    context = padded([3])
    assert insert_tokens(context, torch.zeros(0, 4)) is context
    assert insert_tokens(context, tokens_of(2), rows=[False]) is context


@pytest.mark.parametrize("rows", [None, [True, False]])
@pytest.mark.parametrize("used", [3, 8])
def test_gradient_flows_into_the_tokens_of_selected_rows(rows, used):
    tokens = tokens_of(2).requires_grad_()
    result = insert_tokens(padded([used, 3]), tokens, rows=rows)
    (gradient,) = torch.autograd.grad((result * 3).sum(), tokens)
    assert torch.equal(gradient, torch.full_like(tokens, 6.0 if rows is None else 3.0))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_tokens_take_the_dtype_of_the_context(dtype):
    result = insert_tokens(padded([3], dtype=dtype), tokens_of(2))
    assert result.dtype == dtype
    assert torch.equal(result[0, 6:], tokens_of(2).to(dtype))


@pytest.mark.parametrize("rows", [None, [True, False]])
def test_the_result_is_contiguous_and_the_inputs_are_not_changed(rows):
    context = padded([3, 5]).transpose(0, 1).contiguous().transpose(0, 1)
    before = context.clone()
    result = insert_tokens(context, tokens_of(2), rows=rows)
    assert result.is_contiguous()
    assert torch.equal(context, before)


def test_known_free_slots_are_not_counted_again():
    # On the meta device every look at a value raises, as a device that must not be waited for would.
    context = torch.empty(2, 8, 4, device="meta")
    result = insert_tokens(context, torch.empty(6, 4, device="meta"), free=(4, 5), rows=[True, False])
    assert result.shape == (2, 10, 4)


def test_a_context_may_be_an_inference_tensor():
    with torch.inference_mode():
        context = padded([3])
    tokens = tokens_of(2).requires_grad_()
    (gradient,) = torch.autograd.grad(insert_tokens(context, tokens).sum(), tokens)
    assert gradient.all()


@pytest.mark.parametrize("shape", [(2, 5), (3, 2, 4), (1, 1, 2, 4)])
def test_tokens_that_do_not_fit_are_refused_with_both_shapes(shape):
    with pytest.raises(ValueError, match=r"expected \[K, 4\] or \[2, K, 4\]"):
        insert_tokens(padded([3, 5]), torch.zeros(shape))


def test_a_wrong_number_of_rows_is_refused():
    with pytest.raises(ValueError, match="rows names 3 rows, expected 2"):
        insert_tokens(padded([3, 5]), tokens_of(2), rows=[True, True, False])
