"""Times a training step of each kind of LoRA beside one of context tokens: same model, size, precision and batch, in
one process.

    <ComfyUI's python> bench_lora_step.py <ComfyUI's folder> <models folder> [--width 2048] [--blocks 4] [--size 512]
    [--steps 6] [--rounds 3] [--batch 1] [--checkpointing] [--only "LoRA r8 attention"]

The model is ComfyUI's Anima at that width with random weights and fewer blocks; nothing is read from the models folder.
Prior preservation is off. What backward does in the first block for a LoRA alone weighs the more, the fewer blocks
there are. All take turns, and the median of all steps but each run's first counts.
"""

from __future__ import annotations

import argparse
import logging
import statistics
from typing import Any

from bench_process import comfyui, common_options, made_up_reference, now

TOKENS = "tokens"


def main() -> None:
    parser = common_options(__doc__)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="fp32")
    parser.add_argument("--checkpointing", action="store_true", help="recompute blocks")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", help="a kind to time beside the tokens; may be given again")
    options = parser.parse_args()
    with comfyui(options):
        compare(options)


def compare(options: argparse.Namespace) -> None:
    import torch

    from anima_fast_train.training.lora_settings import LoraTrainingSettings
    from anima_fast_train.training.settings import TrainingSettings

    shared: dict[str, Any] = {
        "steps": options.steps,
        "batch_size": options.batch,
        "prior_weight": 0.0,
        "noise_pool": options.batch,
        "evaluations": 1,
        "learning_rate": "0.001",
    }
    runs = {
        TOKENS: TrainingSettings(**shared),
        "LoRA r8 attention": LoraTrainingSettings(**shared, layers="attention"),
        "LoRA r8 attention and MLP": LoraTrainingSettings(**shared),
        "LoRA r32 attention and MLP": LoraTrainingSettings(**shared, rank=32),
        "DyLoRA r8": LoraTrainingSettings(**shared, kind="DyLoRA"),
        "LoKr r8": LoraTrainingSettings(**shared, kind="LoKr"),
        "LoHa r8": LoraTrainingSettings(**shared, kind="LoHa"),
    }
    if options.only:
        if unknown := set(options.only) - runs.keys():
            raise SystemExit(f"no kind {', '.join(sorted(unknown))}, expected some of: {', '.join(runs)}")
        runs = {name: settings for name, settings in runs.items() if name in [TOKENS, *options.only]}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    with torch.inference_mode():
        model = wide_anima(options)
        for _ in range(options.rounds):
            for name, settings in runs.items():
                seconds[name] += seconds_of_steps(model, settings, options)
    tokens = statistics.median(seconds[TOKENS])
    print(
        f"width {options.width}, {options.blocks} blocks, {options.size} px, batch {options.batch}, "
        f"{options.precision}, checkpointing {'on' if options.checkpointing else 'off'}"
    )
    for name, measured in seconds.items():
        print(f"{name}: {statistics.median(measured):.3f} s a step, {statistics.median(measured) / tokens:.2f}")


def wide_anima(options: argparse.Namespace) -> Any:
    import comfy.sd
    import make_checkpoints
    import torch

    make_checkpoints.ANIMA_WIDTH = options.width
    small = make_checkpoints.anima("anima")
    small.blocks = small.blocks[: options.blocks]
    weights = make_checkpoints.randomised(small, 0)
    dtype = torch.bfloat16 if options.precision == "bf16" else torch.float32
    logging.disable(logging.WARNING)  # of the blocks that are cut off below
    model = comfy.sd.load_diffusion_model_state_dict(weights, model_options={"dtype": dtype})
    logging.disable(logging.NOTSET)
    network = model.model.diffusion_model
    network.blocks = network.blocks[: options.blocks]
    return model


def seconds_of_steps(model: Any, settings: Any, options: argparse.Namespace) -> list[float]:
    from anima_fast_train.nodes.models.backbone import predicting_backbone
    from anima_fast_train.training.train import train_what_is_asked

    ticks: list[float] = []
    with predicting_backbone(model, "on" if options.checkpointing else "off", "auto") as backbone:
        shown = made_up_reference(backbone, model, options.size)
        train_what_is_asked(backbone, [shown], settings, lambda _: ticks.append(now(options)))
    steps = ticks[:-1]  # the last one is followed by an evaluation
    return [later - earlier for earlier, later in zip(steps, steps[1:], strict=False)]


if __name__ == "__main__":
    main()
