"""A context on one conditioning acts on that conditioning alone: in ComfyUI's own sampling loop, with its own hooks."""

from __future__ import annotations

from typing import Any

import comfy.samplers
import torch
from check_patch import context_for
from comfy.hooks import set_hooks_for_conditioning
from comfy.model_patcher import ModelPatcher
from small_models import anima, noise, padded_context, raises

from anima_fast_train.nodes.models.applied_context import Strength
from anima_fast_train.nodes.models.conditioning import apply_to_conditioning
from anima_fast_train.nodes.models.patch import patch_model
from anima_fast_train.training.trainables.context_file import ReferenceContext
from anima_fast_train.training.trainables.scale_schedule import parse_scale_schedule
from anima_fast_train.training.training_info import TrainingInfo

STEPS = 3
SIDE = 8


def prompt(seed: int, **values: Any) -> list:
    """A CONDITIONING of ComfyUI's."""
    return [[padded_context(1, used=6, seed=seed), values]]


def left_half() -> torch.Tensor:
    mask = torch.zeros(1, SIDE, SIDE)
    mask[..., : SIDE // 2] = 1
    return mask


def in_region(conditioning: list, mask: torch.Tensor) -> list:
    """As Conditioning (Set Mask)."""
    return [[vectors, {**values, "mask": mask, "mask_strength": 1.0}] for vectors, values in conditioning]


def sampled(model: ModelPatcher, positive: list, negative: list | None = None, steps: int = STEPS) -> torch.Tensor:
    """The latents [1,16,1,SIDE,SIDE] that ComfyUI's sampler gives."""
    sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "simple", steps)
    return comfy.samplers.sample(
        model,
        noise(1, 16, 1, SIDE, SIDE, seed=3),
        positive,
        negative or prompt(9),
        cfg=3.0,
        device=torch.device("cpu"),
        sampler=comfy.samplers.sampler_object("euler"),
        sigmas=sigmas,
        latent_image=torch.zeros(1, 16, 1, SIDE, SIDE),
        seed=3,
        disable_pbar=True,
    )


def assert_same(one: torch.Tensor, other: torch.Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


def predictions_by_prompt(model: ModelPatcher, positive: list) -> list[torch.Tensor]:
    """What the model predicts for each conditioning of the first step, in the order in which they are run."""
    calls = []

    def note(apply_model: Any, arguments: dict[str, Any]) -> torch.Tensor:
        predicted = apply_model(arguments["input"], arguments["timestep"], **arguments["c"])
        calls.append([predicted.clone(), arguments["cond_or_uncond"]])
        return predicted

    noting = model.clone()
    noting.set_model_unet_function_wrapper(note)
    sampled(noting, positive)
    per_step = len(calls) // STEPS
    return [
        row for predicted, kinds in calls[:per_step] for row, kind in zip(predicted, kinds, strict=True) if kind == 0
    ]


def check_over_the_whole_schedule_it_is_what_patch_model_gives() -> None:
    context = context_for(anima())
    expected = sampled(patch_model(anima(), context), prompt(2))
    assert_same(sampled(anima(), apply_to_conditioning(prompt(2), context)), expected)
    assert not torch.allclose(sampled(anima(), prompt(2)), expected, atol=1e-2)


def check_a_context_at_scale_0_leaves_the_other_alone() -> None:
    one, other = context_for(anima(), 0), context_for(anima(), 1, count=3)
    left, right = left_half(), 1 - left_half()

    def both(scale: float) -> list:
        first = apply_to_conditioning(prompt(2), one, Strength(scale))
        return [*in_region(first, left), *in_region(apply_to_conditioning(prompt(4), other), right)]

    alone = [*in_region(prompt(2), left), *in_region(apply_to_conditioning(prompt(4), other), right)]
    assert_same(sampled(anima(), both(0.0)), sampled(anima(), alone))
    assert not torch.allclose(sampled(anima(), both(1.0)), sampled(anima(), alone), atol=1e-2)


def check_each_prediction_depends_on_its_own_context_alone() -> None:
    one, other, third = (context_for(anima(), seed) for seed in range(3))
    left, right = left_half(), 1 - left_half()

    def pair(first: ReferenceContext, second: ReferenceContext) -> list:
        return [
            *in_region(apply_to_conditioning(prompt(2), first), left),
            *in_region(apply_to_conditioning(prompt(4), second), right),
        ]

    both = predictions_by_prompt(anima(), pair(one, other))
    changed = predictions_by_prompt(anima(), pair(one, third))
    assert len(both) == 2
    same = [any(torch.equal(row, each) for each in changed) for row in both]
    assert sorted(same) == [False, True], "the first context's prediction is the same bits whatever the second is"


def check_it_goes_where_the_conditioning_goes() -> None:
    """A single step shows it: later ones carry it on, since the halves of a picture attend to each other."""
    context, left = context_for(anima()), left_half()
    plain = [*in_region(prompt(2), left), *in_region(prompt(4), 1 - left)]
    placed = [*in_region(apply_to_conditioning(prompt(2), context), left), *in_region(prompt(4), 1 - left)]
    change = (sampled(anima(), placed, steps=1) - sampled(anima(), plain, steps=1)).abs()
    assert change[..., : SIDE // 2].mean() > 1e-2
    assert change[..., SIDE // 2 :].max() < 1e-4


def check_applied_twice_it_is_both_contexts() -> None:
    one, other = context_for(anima(), 0), context_for(anima(), 1, count=3)
    twice = apply_to_conditioning(apply_to_conditioning(prompt(2), one), other)
    expected = sampled(patch_model(patch_model(anima(), one), other), prompt(2))
    assert_same(sampled(anima(), twice), expected)


def check_beside_a_patched_model_both_act() -> None:
    one, other = context_for(anima(), 0), context_for(anima(), 1, count=3)
    expected = sampled(patch_model(patch_model(anima(), one), other), prompt(2))
    assert_same(sampled(patch_model(anima(), one), apply_to_conditioning(prompt(2), other)), expected)


def check_other_hooks_stay_and_clones_act_the_same() -> None:
    """As ComfyUI's own nodes combine hooks: by clones."""
    one, other = context_for(anima(), 0), context_for(anima(), 1)
    hooks = apply_to_conditioning(prompt(2), one)[0][1]["hooks"]
    combined = set_hooks_for_conditioning(apply_to_conditioning(prompt(2), other), hooks)
    expected = sampled(patch_model(patch_model(anima(), one), other), prompt(2))
    assert_same(sampled(anima(), combined), expected)


def check_the_negative_prompt_reads_its_own_tokens() -> None:
    context = context_for(anima(), with_negative=True)
    negative = apply_to_conditioning(prompt(9), context, negative_tokens=True)
    expected = sampled(patch_model(anima(), context, apply_to="negative"), prompt(2), prompt(9))
    assert_same(sampled(anima(), prompt(2), negative), expected)
    with raises(ValueError, "the context has no tokens for the negative prompt"):
        apply_to_conditioning(prompt(9), context_for(anima()), negative_tokens=True)


def check_windows_schedules_and_blocks_act_as_on_patch_model() -> None:
    context = context_for(anima())
    blocks = tuple(float(number % 2) for number in range(context.num_blocks))
    for strength in (
        Strength(0.7, start_percent=0.3, end_percent=0.8),
        Strength(schedule=parse_scale_schedule("0:1, 0.5:1, 0.5:0", 3.0)),
        Strength(blocks=blocks),
    ):
        expected = sampled(patch_model(anima(), context, strength), prompt(2))
        assert_same(sampled(anima(), apply_to_conditioning(prompt(2), context, strength)), expected)
        assert not torch.allclose(sampled(patch_model(anima(), context), prompt(2)), expected, atol=1e-2)


def check_one_conditioning_serves_models_of_other_shifts() -> None:
    """The window is one of percents, so it is found anew for each model's sigmas."""
    from comfy_extras.nodes_model_advanced import ModelSamplingAuraFlow

    shifted = ModelSamplingAuraFlow().patch_aura(anima(), 9.0)[0]
    context, late = context_for(anima()), Strength(start_percent=0.5)
    conditioning = apply_to_conditioning(prompt(2), context, late)
    for model in (anima(), shifted, anima()):
        assert_same(sampled(model, conditioning), sampled(patch_model(model, context, late), prompt(2)))


def check_a_context_of_another_model_is_refused_before_the_first_step() -> None:
    context = context_for(anima())
    strange = ReferenceContext(context.positive, None, TrainingInfo(model_family="miniature"))
    with raises(ValueError, "these context tokens are for miniature"):
        sampled(anima(), apply_to_conditioning(prompt(2), strange))


def check_the_conditioning_that_came_is_not_touched() -> None:
    conditioning = prompt(2)
    apply_to_conditioning(conditioning, context_for(anima()))
    assert "hooks" not in conditioning[0][1]
