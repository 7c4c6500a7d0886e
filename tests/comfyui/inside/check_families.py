"""Every family: training sees what sampling sees, gets right gradients from it, and a context goes to its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps

import torch
from family_models import FAMILIES, SmallFamily, denoised, encoded, latents
from small_models import noise, raises

from anima_fast_train.nodes.models.applied_context import Strength
from anima_fast_train.nodes.models.backbone import ModelBackbone, training_backbone
from anima_fast_train.nodes.models.conditioning import apply_to_conditioning
from anima_fast_train.nodes.models.families import token_family_of
from anima_fast_train.nodes.models.patch import patch_model
from anima_fast_train.nodes.recent.run_key import comparable
from anima_fast_train.training.conditioning import cat, of_one_length
from anima_fast_train.training.files.fingerprint import digest_of
from anima_fast_train.training.trainables.context_file import ReferenceContext
from anima_fast_train.training.trainables.context_tokens import ContextTokens
from anima_fast_train.training.trainables.placed_tokens import PlacedTokens
from anima_fast_train.training.training_info import TrainingInfo

SHORT, LONG = "1girl, solo", ", ".join(["1girl, solo, red hair, standing in a garden"] * 10)
LEVEL = torch.tensor([0.7])
JOINED = tuple(family for family in FAMILIES if family.reads_tokens)
APART = tuple(
    replace(family, own=True, label=f"{family.label}, own attention")
    for family in JOINED
    if token_family_of(family.model()).own_attention
)
READERS = JOINED + APART


def for_each(families: tuple[SmallFamily, ...]) -> Callable:
    """Runs a check for each family; what fails names it."""

    def decorate(check: Callable[[SmallFamily], None]) -> Callable[[], None]:
        @wraps(check)
        def checked() -> None:
            for family in families:
                try:
                    check(family)
                except Exception as error:
                    raise AssertionError(f"{family.label}: {error}") from error

        del checked.__wrapped__  # or it would look as if it asked for an argument
        return checked

    return decorate


@contextmanager
def opened(family: SmallFamily, **options: str) -> Iterator[ModelBackbone]:
    """A backbone as a node opens it: from within ComfyUI's inference mode."""
    with torch.inference_mode(), training_backbone(family.model(), family.clip(), family.vae(), **options) as backbone:
        yield backbone


def tokens_for(family: SmallFamily, seed: int = 5, count: int = 4) -> torch.Tensor:
    blocks, width = token_family_of(family.model()).context_shape(family.model().model)
    return noise(blocks, count, width, seed=seed)


def read_by(family: SmallFamily, tokens: torch.Tensor) -> PlacedTokens:
    return PlacedTokens(own=tokens) if family.own else PlacedTokens(joined=tokens)


def context_of(family: SmallFamily, tokens: torch.Tensor) -> ReferenceContext:
    own = tokens.shape[1] if family.own else 0
    name = token_family_of(family.model()).name
    return ReferenceContext(ContextTokens(tokens, own=own), info=TrainingInfo(model_family=name))


def context_for(family: SmallFamily, seed: int = 5) -> ReferenceContext:
    return context_of(family, tokens_for(family, seed))


def at_level(family: SmallFamily, backbone: ModelBackbone) -> tuple[torch.Tensor, torch.Tensor, float]:
    """(x as training has it, x as the sampler has it, the sampler's sigma) at LEVEL, of the same picture and noise."""
    x0, drawn = latents(family, 1), latents(family, 2)
    sigma = float(backbone.noise.sigma(LEVEL))
    sampling = family.model().get_model_object("model_sampling")
    x = sampling.noise_scaling(torch.tensor([sigma]), drawn.clone(), x0)
    return backbone.add_noise(x0, drawn, LEVEL), x, sigma


@for_each(FAMILIES)
def check_prediction_is_that_of_the_sampler(family: SmallFamily) -> None:
    with opened(family) as backbone, torch.no_grad():
        x_t, x, sigma = at_level(family, backbone)
        prediction = backbone.predict(x_t, LEVEL, backbone.encode_prompt(SHORT))
        estimate = backbone.estimate_x0(x_t, prediction, LEVEL)
    [expected] = denoised(family.model(), [encoded(family, SHORT)], x, sigma)
    torch.testing.assert_close(estimate, expected, rtol=1e-3, atol=1e-4)


@for_each(FAMILIES)
def check_a_perfect_prediction_is_what_the_sampler_reads_as_the_image(family: SmallFamily) -> None:
    sampling = family.model().get_model_object("model_sampling")
    with opened(family) as backbone:
        x_t, x, sigma = at_level(family, backbone)
        target = backbone.target(latents(family, 1), latents(family, 2), LEVEL)
    read = sampling.calculate_denoised(torch.tensor([sigma]), target, x)
    torch.testing.assert_close(read, latents(family, 1), rtol=1e-3, atol=1e-3)
    model_input = sampling.calculate_input(torch.tensor([sigma]), x)
    torch.testing.assert_close(backbone.noise.parametrisation.model_input(x_t, LEVEL), model_input)


@for_each(READERS)
def check_tokens_act_in_training_as_they_do_in_sampling(family: SmallFamily) -> None:
    for prompt in (SHORT, LONG):
        with opened(family) as backbone, torch.no_grad():
            x_t, x, sigma = at_level(family, backbone)
            conditioning = backbone.encode_prompt(prompt)
            prediction = backbone.predict(x_t, LEVEL, conditioning, read_by(family, tokens_for(family)))
            plain = backbone.predict(x_t, LEVEL, conditioning)
            estimate = backbone.estimate_x0(x_t, prediction, LEVEL)
        assert not torch.allclose(prediction, plain, atol=1e-3)
        patched = patch_model(family.model(), context_for(family))
        [expected] = denoised(patched, [encoded(family, prompt)], x, sigma)
        torch.testing.assert_close(estimate, expected, rtol=1e-3, atol=1e-4)


@for_each(READERS)
def check_gradients_agree_with_finite_differences(family: SmallFamily) -> None:
    target = latents(family, 9)
    with opened(family) as backbone:
        x_t, _, _ = at_level(family, backbone)
        conditioning = backbone.encode_prompt(SHORT)

        def loss(tokens: torch.Tensor) -> torch.Tensor:
            return (backbone.predict(x_t, LEVEL, conditioning, read_by(family, tokens)) - target).square().mean()

        tokens = tokens_for(family).requires_grad_()
        loss(tokens).backward()
        assert tokens.grad is not None and (tokens.grad.flatten(1).norm(dim=1) > 0).all(), "a place without gradient"
        direction, step = tokens.grad / tokens.grad.norm(), 0.05
        with torch.no_grad():
            apart = loss(tokens + step * direction) - loss(tokens - step * direction)
    torch.testing.assert_close(apart / (2 * step), tokens.grad.norm(), rtol=0.02, atol=0)


@for_each(READERS)
def check_blocks_computed_again_have_the_same_gradient(family: SmallFamily) -> None:
    grads = []
    for recompute in ("off", "on"):
        with opened(family, recompute=recompute) as backbone:
            x_t, _, _ = at_level(family, backbone)
            conditioning, tokens = backbone.encode_prompt(SHORT), tokens_for(family).requires_grad_()
            backbone.predict(x_t, LEVEL, conditioning, read_by(family, tokens)).square().mean().backward()
            assert backbone.recomputes is (recompute == "on")
            grads.append(tokens.grad)
    torch.testing.assert_close(grads[1], grads[0], rtol=1e-4, atol=1e-7)


@for_each(READERS)
def check_rows_of_the_negative_prompt_keep_every_bit(family: SmallFamily) -> None:
    patched, x = patch_model(family.model(), context_for(family)), latents(family)
    for prompts in ((SHORT, SHORT), (SHORT, LONG), (LONG, SHORT), (LONG, LONG)):
        conditionings = [encoded(family, prompt) for prompt in prompts]
        plain = denoised(family.model(), conditionings, x, 0.7)
        read = denoised(patched, conditionings, x, 0.7)
        if family.exact:
            assert torch.equal(plain[1], read[1]), [len(prompt) for prompt in prompts]
        torch.testing.assert_close(plain[1], read[1], rtol=1e-5, atol=1e-5)
        assert not torch.allclose(plain[0], read[0], atol=1e-3)


@for_each(READERS)
def check_a_context_does_in_a_batch_what_it_does_alone(family: SmallFamily) -> None:
    patched, x = patch_model(family.model(), context_for(family), apply_to="both"), latents(family)
    for prompts in ((SHORT, LONG), (LONG, SHORT)):
        conditionings = [encoded(family, prompt) for prompt in prompts]
        together = denoised(patched, conditionings, x, 0.7)
        [alone] = denoised(patched, conditionings[:1], x, 0.7)
        torch.testing.assert_close(together[0], alone, rtol=1e-3, atol=1e-4)


@for_each(FAMILIES + APART)
def check_captions_of_unequal_length_are_each_what_they_are_alone(family: SmallFamily) -> None:
    with opened(family) as backbone, torch.no_grad():
        x_t, _, _ = at_level(family, backbone)
        prompts = [backbone.encode_prompt(prompt) for prompt in (SHORT, LONG, "")]
        each = torch.stack([tokens_for(family, seed) for seed in range(3)]) if family.reads_tokens else None
        for trained in (None, each):
            together = backbone.predict(
                x_t.expand(3, *x_t.shape[1:]),
                LEVEL.expand(3),
                cat(of_one_length(prompts)),
                None if trained is None else read_by(family, trained),
            )
            for row, prompt in enumerate(prompts):
                alone = backbone.predict(x_t, LEVEL, prompt, None if trained is None else read_by(family, trained[row]))
                torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-3, atol=1e-4)


@for_each(READERS)
def check_a_hooked_conditioning_reads_what_a_patched_model_does(family: SmallFamily) -> None:
    context, x, prompt = context_for(family), latents(family), encoded(family, SHORT)
    hooked = apply_to_conditioning(prompt, context, Strength(0.8))
    [[_, values]] = hooked
    model = family.model().clone()
    model.register_all_hook_patches(values["hooks"], {})
    [plain] = denoised(family.model(), [prompt], x, 0.7)
    [read] = denoised(model, [hooked], x, 0.7)
    [expected] = denoised(patch_model(family.model(), context, Strength(0.8)), [prompt], x, 0.7)
    torch.testing.assert_close(read, expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(plain, expected, atol=1e-3)


@for_each(READERS)
def check_chained_contexts_all_act_and_the_first_model_keeps_its_own(family: SmallFamily) -> None:
    one, other = context_for(family, 5), context_for(family, 6)
    x, prompt = latents(family), [encoded(family, SHORT)]
    first = patch_model(family.model(), one)
    [before] = denoised(first, prompt, x, 0.7)
    [chained] = denoised(patch_model(first, other), prompt, x, 0.7)
    together = context_of(family, torch.cat([one.positive.tokens, other.positive.tokens], dim=1))
    [expected] = denoised(patch_model(family.model(), together), prompt, x, 0.7)
    torch.testing.assert_close(chained, expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(before, denoised(first, prompt, x, 0.7)[0])
    assert not family.model().model_options["transformer_options"].get("patches")


@for_each(READERS)
def check_scale_zero_is_the_model_bit_by_bit(family: SmallFamily) -> None:
    x, prompt = latents(family), [encoded(family, SHORT)]
    patched = patch_model(family.model(), context_for(family), Strength(0.0))
    assert torch.equal(denoised(family.model(), prompt, x, 0.7)[0], denoised(patched, prompt, x, 0.7)[0])


@for_each(READERS)
def check_a_model_with_a_context_is_told_from_one_with_another(family: SmallFamily) -> None:
    """By which a finished training is found again."""
    contexts = [context_for(family, seed) for seed in (5, 5, 6)]
    options = [comparable(patch_model(family.model(), each).model_options["transformer_options"]) for each in contexts]
    first, same, other = map(digest_of, options)
    assert first == same != other


@for_each(READERS)
def check_a_patched_model_trains_with_its_context(family: SmallFamily) -> None:
    context = context_for(family)
    patched = patch_model(family.model(), context)
    with torch.inference_mode(), training_backbone(patched, family.clip(), family.vae()) as backbone, torch.no_grad():
        x_t, x, sigma = at_level(family, backbone)
        prediction = backbone.predict(x_t, LEVEL, backbone.encode_prompt(SHORT))
        estimate = backbone.estimate_x0(x_t, prediction, LEVEL)
    [expected] = denoised(patched, [encoded(family, SHORT)], x, sigma)
    torch.testing.assert_close(estimate, expected, rtol=1e-3, atol=1e-4)


@for_each(APART)
def check_a_prompt_keeps_its_whole_say_beside_an_attention_of_the_tokens_own(family: SmallFamily) -> None:
    """Tokens that say nothing take nothing from it."""
    x, prompt = latents(family), [encoded(family, SHORT)]
    [plain] = denoised(family.model(), prompt, x, 0.7)
    nothing = torch.zeros_like(tokens_for(family))
    [apart] = denoised(patch_model(family.model(), context_of(family, nothing)), prompt, x, 0.7)
    torch.testing.assert_close(apart, plain, rtol=1e-5, atol=1e-6)


@for_each(tuple(family for family in JOINED if not token_family_of(family.model()).own_attention))
def check_where_there_is_no_such_attention_a_context_that_has_one_is_refused(family: SmallFamily) -> None:
    with raises(ValueError, "4 tokens with an attention of their own, expected none"):
        patch_model(family.model(), context_of(replace(family, own=True), tokens_for(family)))
