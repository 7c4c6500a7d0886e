"""Times a training step beside one of ComfyUI's own Train LoRA node: same model, size, precision and batch, in one
process.

    <ComfyUI's python> bench_training_step.py <ComfyUI's folder> <models folder> [--size 512] [--steps 6] [--batch 1]
    [--rounds 3] [--checkpointing] [--kept no_hidden] [--whole]

Prior preservation is off, since Train LoRA has none. Train LoRA fails on Anima without a backward pass of the fused
rotary op, so it borrows ours. Both take turns, and the median of all steps but each run's first counts.

--whole times one whole run at our default settings instead, over its steps: the model's own predictions, the search for
the rate and all evaluations among them. Backgrounds are drawn before it and not counted.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace

from bench_process import comfyui, common_options, load_anima, now

PRECISIONS = {"bf16": "bfloat16", "fp32": "float32"}
KEPT = ("all", "no_rotated", "no_hidden", "no_projections", "input")
PROMPT = "1girl, red hair, looking at viewer"


def main() -> None:
    parser = common_options(__doc__)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--batch", type=int, help="1, with --whole that of the default settings")
    parser.add_argument("--rounds", type=int, help="3, with --whole 1")
    parser.add_argument("--whole", action="store_true", help="a whole run at the default settings")
    parser.add_argument("--precision", choices=list(PRECISIONS), default="fp32")
    parser.add_argument("--checkpointing", action="store_true", help="recompute blocks, in both")
    parser.add_argument("--kept", help="what our blocks keep instead of all, such as no_hidden")
    options = parser.parse_args()
    if options.kept not in (None, *KEPT):
        parser.error(f"--kept is {options.kept}, expected one of: {', '.join(KEPT)}")
    options.rounds = options.rounds or (1 if options.whole else 3)
    with comfyui(options):
        compare(options)


def compare(options: argparse.Namespace) -> None:
    import torch

    from anima_fast_train.training.settings import TrainingSettings

    options.batch = options.batch or (TrainingSettings().batch_size if options.whole else 1)

    with torch.inference_mode():
        model, clip, vae = load_anima(options)
        conditioning = clip.encode_from_tokens_scheduled(clip.tokenize(PROMPT))
        latent = torch.randn(options.batch, 16, 1, options.size // 8, options.size // 8)
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(options.rounds):
            theirs += train_lora_seconds(model, conditioning, latent, options)
            ours += our_seconds(model, clip, vae, latent, options)
    mine, other = statistics.median(ours), statistics.median(theirs)
    print(
        f"{options.size} px, batch {options.batch}, {options.precision}, "
        f"checkpointing {'on' if options.checkpointing else 'off'}"
        + (f", our blocks keep {options.kept}" if options.kept else "")
    )
    print(f"Train LoRA {other:.3f} s a step, AnimaFastTrain {mine:.3f} s a step, ratio {mine / other:.2f}")


def train_lora_seconds(model, conditioning, latent, options) -> list[float]:
    import comfy_extras.nodes_train as nodes_train

    from anima_fast_train.nodes.anima.rotary import differentiable_rotary

    ticks: list[float] = []

    class Clock:
        """Stands in for the progress bar, which is told of every step."""

        def __init__(self, total: int) -> None: ...

        def update(self, _: int) -> None:
            ticks.append(now(options))

    bar, nodes_train.ProgressBar = nodes_train.ProgressBar, Clock
    inputs = {
        "model": model,
        "latents": {"samples": latent},
        "batch_size": options.batch,
        "steps": options.steps,
        "grad_accumulation_steps": 1,
        "learning_rate": 1e-4,
        "rank": 8,
        "optimizer": "AdamW",
        "loss_function": "MSE",
        "seed": 0,
        "training_dtype": options.precision,
        "lora_dtype": options.precision,
        "quantized_backward": False,
        "algorithm": "LoRA",
        "gradient_checkpointing": options.checkpointing,
        "checkpoint_depth": 2 if options.checkpointing else 1,  # depth 2 is a block of Anima
        "offloading": False,
        "existing_lora": "[None]",
        "bucket_mode": False,
        "bypass_mode": False,
    }
    try:
        with differentiable_rotary():
            nodes_train.TrainLoraNode.execute(
                **{name: [value] for name, value in inputs.items()}, positive=[conditioning]
            )
    finally:
        nodes_train.ProgressBar = bar
    return differences(ticks)


def our_seconds(model, clip, vae, latent, options) -> list[float]:
    import torch

    from anima_fast_train.nodes.models.backbone import training_backbone
    from anima_fast_train.training.fast_path.block import Kept
    from anima_fast_train.training.references.encode import EncodedReference
    from anima_fast_train.training.settings import TrainingSettings
    from anima_fast_train.training.train_context import train_context_tokens

    ticks: list[float] = []
    settings = TrainingSettings(batch_size=options.batch)
    if not options.whole:
        settings = replace(settings, steps=options.steps, prior_weight=0.0, noise_pool=options.batch, evaluations=1)
    with training_backbone(model, clip, vae, "on" if options.checkpointing else "off", options.precision) as backbone:
        if options.kept:
            kept = [Kept[options.kept.upper()]] * backbone.num_blocks
            backbone.kept = lambda latents, adapters=False: kept
        x0 = model.model.process_latent_in(latent.clone())[:1].to(model.load_device)
        mask = torch.zeros(1, 1, *x0.shape[-2:], device=model.load_device)
        mask[..., x0.shape[-2] // 4 :, x0.shape[-1] // 4 :] = 1
        reference = EncodedReference(x0, mask, backbone.encode_prompt(PROMPT))
        started = now(options)
        train_context_tokens(backbone, [reference], settings, lambda _: ticks.append(now(options)))
        seconds = now(options) - started
    if options.whole:
        return [seconds / settings.steps]
    return differences(ticks[:-1])  # the last step is followed by an evaluation


def differences(ticks: list[float]) -> list[float]:
    return [later - earlier for earlier, later in zip(ticks, ticks[1:], strict=False)]


if __name__ == "__main__":
    main()
