"""Times a sampling step with and without contexts on the model: both prompts in one batch, as KSampler runs it.

<ComfyUI's python> bench_sampling_step.py <ComfyUI's folder> <models folder> [--size 512] [--contexts 1] [--rounds 20]
"""

from __future__ import annotations

import argparse
import statistics

from bench_process import comfyui, common_options, now


def main() -> None:
    parser = common_options(__doc__)
    parser.add_argument("--contexts", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    with comfyui(options):
        compare(options)


def compare(options: argparse.Namespace) -> None:
    import comfy.model_management
    import comfy.sd
    import torch

    from anima_fast_train.nodes.models.families import family_of
    from anima_fast_train.nodes.models.patch import patch_model
    from anima_fast_train.training.trainables.context_file import ReferenceContext
    from anima_fast_train.training.trainables.context_tokens import ContextTokens
    from anima_fast_train.training.training_info import TrainingInfo

    with torch.inference_mode():
        plain = comfy.sd.load_diffusion_model(str(options.models / "diffusion_models" / options.model))
        family = family_of(plain)
        blocks, width = family.context_shape(plain.model)
        context = ReferenceContext(
            ContextTokens(torch.randn(blocks, 16, width), own=16 if family.own_attention else 0),
            info=TrainingInfo(model_family=family.name),
        )
        patched = plain
        for _ in range(options.contexts):
            patched = patch_model(patched, context)
        comfy.model_management.load_models_gpu([plain])
        without, with_context = [], []
        for _ in range(options.rounds):
            without.append(step_seconds(plain, options, width))
            with_context.append(step_seconds(patched, options, width))
    # The fastest step is the one that nothing else on the machine disturbed.
    one, other = min(without), min(with_context)
    print(
        f"{options.size} px, {options.contexts} contexts: {one:.4f} s a step without, "
        f"{other:.4f} s with, {other / one - 1:+.2%}"
    )
    print(f"medians: {statistics.median(without):.4f} s, {statistics.median(with_context):.4f} s")


def step_seconds(model, options, width: int) -> float:
    import torch

    device = model.load_device
    x = torch.randn(2, 16, 1, options.size // 8, options.size // 8, device=device)
    prompts = torch.zeros(2, 512, width, device=device)
    prompts[:, :20] = torch.randn(2, 20, width, device=device)
    sigmas = torch.full((1,), 0.5, device=device)
    wired = {**model.model_options["transformer_options"], "cond_or_uncond": [1, 0], "sigmas": sigmas}
    start = now(options)
    model.model.apply_model(x, sigmas.expand(2), c_crossattn=prompts, transformer_options=wired)
    return now(options) - start


if __name__ == "__main__":
    main()
