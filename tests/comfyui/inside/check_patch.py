"""A patched model reads the context where it should, and nowhere else: compared bit by bit with the model without
it."""

from __future__ import annotations

import sys
from dataclasses import replace

import torch
from comfy.model_patcher import ModelPatcher
from small_models import anima, noise, padded_context, raises

from anima_fast_train.nodes.anima.insertion import FreeSlots, insert_into_call
from anima_fast_train.nodes.models.applied_context import Strength, carries_contexts, rows_of
from anima_fast_train.nodes.models.patch import patch_model
from anima_fast_train.nodes.models.token_source import TokenSet
from anima_fast_train.training.trainables.combine import merge
from anima_fast_train.training.trainables.context_file import ReferenceContext
from anima_fast_train.training.trainables.context_tokens import ContextTokens
from anima_fast_train.training.trainables.padding_slots import insert_tokens
from anima_fast_train.training.training_info import TrainingInfo

POSITIVE_AND_NEGATIVE = [0, 1]


def context_for(model: ModelPatcher, seed: int = 0, count: int = 4, with_negative: bool = False) -> ReferenceContext:
    """Half of the tokens have an attention of their own."""
    blocks = len(model.model.diffusion_model.blocks)
    negative = ContextTokens(noise(blocks, 2, 1024, seed=seed + 100), own=1) if with_negative else None
    positive = ContextTokens(noise(blocks, count, 1024, seed=seed), own=count // 2)
    return ReferenceContext(positive, negative, TrainingInfo(model_family="anima"))


@torch.inference_mode()
def predictions(
    model: ModelPatcher, sigma: float = 0.5, cond_or_uncond: list[int] = POSITIVE_AND_NEGATIVE, used: int = 6
) -> torch.Tensor:
    """[rows,...]: what the model predicts for the same picture under a positive and a negative prompt, in one batch."""
    options = model.model_options["transformer_options"].copy()
    sigmas = torch.full((1,), sigma)
    options.update(cond_or_uncond=cond_or_uncond, sigmas=sigmas)
    rows = len(cond_or_uncond)
    x = noise(1, 16, 1, 8, 8, seed=1).expand(rows, -1, -1, -1, -1)
    prompts = padded_context(rows, used=used, seed=2)
    return model.model.apply_model(x, sigmas.expand(rows), c_crossattn=prompts, transformer_options=options)


def check_rows_of_the_negative_prompt_keep_every_bit() -> None:
    plain = predictions(anima())
    patched = predictions(patch_model(anima(), context_for(anima())))
    assert torch.equal(plain[1], patched[1])
    assert not torch.allclose(plain[0], patched[0], atol=1e-3)


def check_apply_to_negative_leaves_the_positive_prompt() -> None:
    plain = predictions(anima())
    patched = predictions(patch_model(anima(), context_for(anima()), apply_to="negative"))
    assert torch.equal(plain[0], patched[0])
    assert not torch.allclose(plain[1], patched[1], atol=1e-3)


def check_apply_to_both_does_to_each_row_what_it_does_alone() -> None:
    context = context_for(anima())
    both = predictions(patch_model(anima(), context, apply_to="both"))
    assert torch.equal(both[0], predictions(patch_model(anima(), context))[0])
    assert torch.equal(both[1], predictions(patch_model(anima(), context, apply_to="negative"))[1])


def check_negative_tokens_act_on_the_negative_prompt() -> None:
    context = context_for(anima(), with_negative=True)
    as_tokens = ReferenceContext(context.negative, info=context.info)
    both = predictions(patch_model(anima(), context, apply_to="both"))
    expected = predictions(patch_model(anima(), as_tokens, apply_to="negative"))[1]
    torch.testing.assert_close(both[1], expected, rtol=1e-4, atol=1e-4)


def check_scale_zero_is_the_unpatched_model_bit_by_bit() -> None:
    assert torch.equal(predictions(anima()), predictions(patch_model(anima(), context_for(anima()), Strength(0.0))))


def check_scale_multiplies_the_tokens() -> None:
    context = context_for(anima())
    doubled = replace(context, positive=replace(context.positive, tokens=context.positive.tokens * 2))
    assert torch.equal(
        predictions(patch_model(anima(), context, Strength(2.0))), predictions(patch_model(anima(), doubled))
    )


def check_the_model_that_came_in_is_not_touched() -> None:
    before = predictions(anima())
    patched = patch_model(anima(), context_for(anima()))
    predictions(patched)
    assert "patches" not in anima().model_options["transformer_options"]
    assert torch.equal(before, predictions(anima()))


def check_chained_contexts_all_act() -> None:
    one, other = context_for(anima(), 0), context_for(anima(), 1, count=3)
    together = merge(one, other, 0.5, "concatenate")
    chained = predictions(patch_model(patch_model(anima(), one), other))
    assert torch.equal(chained, predictions(patch_model(anima(), together)))
    assert not torch.allclose(chained[0], predictions(patch_model(anima(), one))[0], atol=1e-3)
    assert not torch.allclose(chained[0], predictions(patch_model(anima(), other))[0], atol=1e-3)


def check_a_chain_is_one_patch_and_leaves_the_first_model_as_it_was() -> None:
    first = patch_model(anima(), context_for(anima(), 0))
    before = predictions(first)
    second = patch_model(first, context_for(anima(), 1))
    [patch] = second.model_options["transformer_options"]["patches"]["attn2_patch"]
    assert carries_contexts(patch)
    assert len(patch.source.applied) == 2
    assert torch.equal(before, predictions(first))


def check_contexts_on_different_prompts_do_not_meet() -> None:
    one, other = context_for(anima(), 0), context_for(anima(), 1, count=3)
    chained = predictions(patch_model(patch_model(anima(), one), other, apply_to="negative"))
    assert torch.equal(chained[0], predictions(patch_model(anima(), one))[0])
    assert torch.equal(chained[1], predictions(patch_model(anima(), other, apply_to="negative"))[1])


def check_a_context_acts_between_its_percents_only() -> None:
    context = context_for(anima())
    late = patch_model(anima(), context, Strength(start_percent=0.5))
    early = patch_model(anima(), context, Strength(end_percent=0.5))
    middle = anima().get_model_object("model_sampling").percent_to_sigma(0.5)
    for sigma, acting, resting in ((middle + 0.1, early, late), (middle - 0.1, late, early)):
        plain = predictions(anima(), sigma)
        assert torch.equal(plain, predictions(resting, sigma))
        assert torch.equal(predictions(acting, sigma), predictions(patch_model(anima(), context), sigma))
        assert not torch.equal(plain, predictions(acting, sigma))


def check_time_offsets_act_at_the_sigmas_they_were_trained_for() -> None:
    plain = context_for(anima(), with_negative=True)
    low, high = (context_for(anima(), seed, with_negative=True) for seed in (5, 6))

    def with_offsets(kind: str) -> ContextTokens:
        own = getattr(plain, kind)
        offsets = [getattr(part, kind).tokens - own.tokens for part in (low, high)]
        return replace(own, time_offsets=torch.stack(offsets, dim=1))

    timed = replace(plain, positive=with_offsets("positive"), negative=with_offsets("negative"))
    patched = patch_model(anima(), timed, apply_to="both")
    for sigma, expected in ((0.3, low), (0.7, high)):
        same = predictions(patch_model(anima(), expected, apply_to="both"), sigma)
        torch.testing.assert_close(predictions(patched, sigma), same, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(
        predictions(patched, 0.3), predictions(patch_model(anima(), high, apply_to="both"), 0.3), atol=1e-2
    )


def check_another_override_of_attention_acts_below_ours() -> None:
    """As nodes for faster attention put one there, before or after Patch Model."""
    context, calls = context_for(anima()), []

    def override(attend, *args, **more):
        calls.append(1)
        return attend(*args, **more)

    def overridden(model: ModelPatcher) -> ModelPatcher:
        model = model.clone()
        model.model_options["transformer_options"]["optimized_attention_override"] = override
        return model

    expected = predictions(patch_model(anima(), context))
    before = predictions(patch_model(overridden(anima()), context))
    asked = len(calls)
    after = predictions(overridden(patch_model(anima(), context)))
    assert torch.equal(before, expected) and torch.equal(after, expected)
    assert asked == 20 and len(calls) == 40, "each of ten blocks attends twice"


def check_attention_that_asks_nobody_is_an_error_and_not_a_lost_context() -> None:
    patched, module = patch_model(anima(), context_for(anima())), sys.modules["comfy.ldm.cosmos.predict2"]
    original = module.optimized_attention
    module.optimized_attention = lambda *args, **more: original(*args, **{**more, "transformer_options": {}})
    try:
        with raises(ValueError, "another node replaces the attention of this model"):
            predictions(patched)
    finally:
        module.optimized_attention = original


def check_a_prompt_without_padding_makes_room() -> None:
    patched = patch_model(anima(), context_for(anima()))
    full = predictions(patched, cond_or_uncond=[0], used=510)
    assert full.isfinite().all()
    assert not torch.allclose(full, predictions(anima(), cond_or_uncond=[0], used=510), atol=1e-3)


def check_a_second_patch_finds_the_padding_that_the_first_left() -> None:
    """As with a context on the model and another on one conditioning, which ComfyUI passes as two patches."""
    conditioning, options, free = padded_context(1, used=6, length=12), {}, FreeSlots()
    sets = [TokenSet(noise(count, 1024, seed=count), (True,)) for count in (2, 3)]
    keys = insert_into_call(conditioning, conditioning, [sets[0]], options, free)["k"]
    keys = insert_into_call(keys, keys, [sets[1]], options, FreeSlots())["k"]
    assert torch.equal(keys, insert_tokens(conditioning, torch.cat([one.tokens for one in sets])))
    assert keys.shape == conditioning.shape


def check_values_that_another_patch_changed_get_tokens_too() -> None:
    keys, values = padded_context(1, length=12), padded_context(1, length=12) * 2
    tokens = noise(2, 1024)
    inserted = insert_into_call(keys, values, [TokenSet(tokens, (True,))], {}, FreeSlots())
    assert torch.equal(inserted["k"], insert_tokens(keys, tokens))
    assert torch.equal(inserted["v"], insert_tokens(values, tokens))


def check_rows_follow_the_runs_of_the_batch() -> None:
    assert rows_of(0, [1, 0], 4) == (False, False, True, True)
    assert rows_of(1, [0], 3) == (False, False, False)


def check_nothing_of_a_run_stays_after_cleanup() -> None:
    patched = patch_model(anima(), context_for(anima()))
    predictions(patched)
    [patch] = patched.model_options["transformer_options"]["patches"]["attn2_patch"]
    assert patch.source._on_device
    patched.model_patches_call_function("cleanup")
    assert not patch.source._on_device


def check_a_context_for_another_model_is_refused_with_both_shapes() -> None:
    with raises(ValueError, "28 blocks of width 1024", "10 blocks of width 1024"):
        patch_model(
            anima(), ReferenceContext(ContextTokens(noise(28, 4, 1024)), info=TrainingInfo(model_family="anima"))
        )
    with raises(ValueError, "10 blocks of width 768", "10 blocks of width 1024"):
        patch_model(
            anima(), ReferenceContext(ContextTokens(noise(10, 4, 768)), info=TrainingInfo(model_family="anima"))
        )
