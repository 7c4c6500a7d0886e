"""Runs Anima's real size once: writes a random-weight checkpoint of 28 blocks at width 2048 in bf16 (4 GB), loads it in
ComfyUI as Anima, takes training steps that keep different amounts, then a sampling step with what was trained.

    <ComfyUI's python> real_size.py <ComfyUI's folder> <folder for the checkpoint> [--size 256] [--precision bf16]
    [--learn 20]

Prints seconds and the memory of each; needs 12 GiB, and no text encoder: the prompt is made up. A checkpoint that is
there is used again. --learn trains so many steps at the default settings instead, and prints the errors before and
after.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

import make_checkpoints
from bench_process import comfyui, common_options, made_up_reference, now

WIDTH = 2048
GIB = 2**30


def main() -> None:
    parser = common_options(__doc__)
    parser.set_defaults(size=256, model="anima-real-size.safetensors")
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--kept", nargs="*", default=["all", "no_hidden", "input"])
    parser.add_argument("--learn", type=int, default=0, help="steps at the default settings")
    options = parser.parse_args()
    with comfyui(options):
        path = options.models / options.model
        if not path.exists():
            write(path)
        model = loaded(options, path)
        if options.learn:
            learn(options, model)
        else:
            run(options, model)


def write(path: Path) -> None:
    make_checkpoints.ANIMA_WIDTH = WIDTH
    model = make_checkpoints.anima("anima")
    path.parent.mkdir(parents=True, exist_ok=True)
    make_checkpoints.write(path, make_checkpoints.randomised(model, 0))


def loaded(options: Namespace, path: Path) -> Any:
    import comfy.sd
    import torch

    started = now(options)
    with torch.inference_mode():
        # As a GPU has them; on a CPU ComfyUI would widen them to float32.
        model = comfy.sd.load_diffusion_model(str(path), model_options={"dtype": torch.bfloat16})
    print(f"loaded in {now(options) - started:.1f} s: {model.model_size() / GIB:.2f} GiB of weights", flush=True)
    return model


def learn(options: Namespace, model: Any) -> None:
    from anima_fast_train.nodes.models.backbone import predicting_backbone
    from anima_fast_train.training.reports.memory import peak_mib
    from anima_fast_train.training.settings import TrainingSettings
    from anima_fast_train.training.train import train_what_is_asked

    with predicting_backbone(model, "auto", options.precision) as backbone:
        settings = TrainingSettings(steps=options.learn)
        result = train_what_is_asked(
            backbone,
            [made_up_reference(backbone, model, options.size)],
            settings,
            lambda report: print(f"step {report.step}: loss {report.loss:.3f}", flush=True),
        )
    inside = ", ".join(f"{each.inside:.3f} after {step}" for step, each in result.history.evaluations.items() if step)
    print(
        f"{options.learn} steps at {options.size} px in {result.seconds:.0f} s, at a rate of "
        f"{result.found_rate.rate:.3g}: the error inside the mask was {result.before.inside:.3f}, then {inside}; the "
        f"process's peak {peak_mib(model.load_device) / 1024:.2f} GiB"
    )


def run(options: Namespace, model: Any) -> None:
    import torch

    from anima_fast_train.nodes.models.backbone import predicting_backbone
    from anima_fast_train.training.conditioning import Conditioning
    from anima_fast_train.training.fast_path.block import Kept
    from anima_fast_train.training.measurements.step_memory import memory_of
    from anima_fast_train.training.reports.memory import peak_mib

    cells = options.size // 8
    for name in options.kept:
        with predicting_backbone(model, "off", options.precision) as backbone:
            kept = [Kept[name.upper()]] * backbone.num_blocks
            backbone.kept = lambda latents, adapters=False, kept=kept: kept
            x, level = torch.randn(1, 16, 1, cells, cells), torch.tensor([0.5])
            vectors = torch.zeros(1, 512, backbone.context_dim)
            vectors[:, :12] = torch.randn(12, backbone.context_dim)
            prompt = Conditioning(vectors).knowing()
            tokens = (0.02 * torch.randn(backbone.num_blocks, 16, backbone.context_dim)).requires_grad_()
            optimiser = torch.optim.AdamW([tokens], lr=1e-3)

            def step(backbone=backbone, x=x, level=level, prompt=prompt, tokens=tokens, optimiser=optimiser) -> None:
                backbone.predict(x, level, prompt, tokens).square().mean().backward()
                optimiser.step()
                optimiser.zero_grad(set_to_none=False)

            seconds = []
            for _ in range(2):
                started = now(options)
                step()
                seconds.append(now(options) - started)
            used = memory_of(step, x.device).peak
            foretold = backbone.family.activations(model.model, x.shape).of_step(kept)
            print(
                f"{name}: two steps at {options.size} px took {seconds[0]:.1f} and {seconds[1]:.1f} s, "
                f"{used / GIB:.2f} GiB above the weights, foretold {foretold / GIB:.2f}; the process's peak so far "
                f"{peak_mib(x.device) / 1024:.2f} GiB",
                flush=True,
            )
    sample(options, model, tokens.detach(), vectors)


def sample(options: Namespace, model, tokens, vectors) -> None:
    import comfy.model_management
    import torch

    from anima_fast_train.nodes.models.patch import patch_model
    from anima_fast_train.training.trainables.context_file import ReferenceContext
    from anima_fast_train.training.trainables.context_tokens import ContextTokens
    from anima_fast_train.training.training_info import TrainingInfo

    context = ReferenceContext(ContextTokens(tokens), info=TrainingInfo(model_family="anima"))
    with torch.inference_mode():
        patched = patch_model(model, context)
        comfy.model_management.load_models_gpu([patched])
        sigma = torch.tensor([0.7])
        more = {**patched.model_options["transformer_options"], "cond_or_uncond": [0], "sigmas": sigma}
        x = torch.randn(1, 16, 1, options.size // 8, options.size // 8)
        started = now(options)
        denoised = patched.model.apply_model(x, sigma, c_crossattn=vectors, transformer_options=more)
        print(
            f"a sampling step with the context took {now(options) - started:.1f} s, finite: "
            f"{bool(denoised.isfinite().all())}"
        )


if __name__ == "__main__":
    main()
