"""Times previews beside the training steps between them, in one process, and prints what share of the training time
they cost.

    <ComfyUI's python> bench_preview.py <ComfyUI's folder> <models folder> [--size 512] [--batch 4] [--previews 4]
    [--gpu]

A preview is drawn, decoded and saved as in a run; the medians of its seconds and of a step's give the share at the
default interval.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from bench_process import comfyui, common_options, load_anima, now

PRECISIONS = ("auto", "bf16", "fp32")
STEPS_BETWEEN = 4  # enough for a median; the interval of the result is the default one
PROMPT = "1girl, red hair, looking at viewer"


def main() -> None:
    parser = common_options(__doc__)
    parser.add_argument("--batch", type=int, default=0, help="0 takes the default of training")
    parser.add_argument("--previews", type=int, default=4)
    parser.add_argument("--precision", choices=PRECISIONS, default="auto")
    options = parser.parse_args()
    with comfyui(options) as folder:
        measure(options, folder / "previews")


def measure(options: argparse.Namespace, folder: Path) -> None:
    import torch

    from anima_fast_train.nodes.live.previews import PreviewOptions, TrainingPreviews, previewer_for
    from anima_fast_train.nodes.models.backbone import training_backbone
    from anima_fast_train.training.references.encode import EncodedReference
    from anima_fast_train.training.result import StepReport
    from anima_fast_train.training.settings import TrainingSettings
    from anima_fast_train.training.train_context import train_context_tokens

    with torch.inference_mode():
        model, clip, vae = load_anima(options)
    batch = options.batch or TrainingSettings().batch_size
    settings = TrainingSettings(steps=STEPS_BETWEEN * options.previews + 1, batch_size=batch, evaluations=1)
    with training_backbone(model, clip, vae, "off", options.precision) as backbone:
        side = options.size // 8
        x0 = torch.randn(1, 16, 1, side, side, generator=torch.Generator().manual_seed(0)).to(model.load_device)
        mask = torch.zeros(1, 1, side, side, device=model.load_device)
        mask[..., side // 4 :, side // 4 :] = 1
        reference = EncodedReference(x0, mask, backbone.encode_prompt(PROMPT), image_size=(options.size, options.size))
        previews = TrainingPreviews(backbone, reference, previewer_for(backbone), folder, STEPS_BETWEEN)
        steps: list[float] = []
        drawn: list[float] = []
        last = now(options)

        def on_step(report: StepReport) -> None:
            nonlocal last
            arrived = now(options)
            steps.append(arrived - last)
            picture = previews.after(report)
            last = now(options)
            if picture is not None:
                drawn.append(last - arrived)

        train_context_tokens(backbone, [reference], settings, on_step)
    step, preview = statistics.median(steps[1:]), statistics.median(drawn)  # the first step follows all preparations
    every = PreviewOptions().preview_every
    print(f"{options.size} px, batch {batch}: a step {step:.3f} s, a preview {preview:.3f} s")
    print(f"previews every {every} steps cost {preview / (every * step):.1%} of the training time")


if __name__ == "__main__":
    main()
