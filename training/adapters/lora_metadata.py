"""What the file of a LoRA says of itself: what sd-scripts' say (ss_*), for tools that show them, and all that our
contexts say, under a prefix."""

from __future__ import annotations

import json
from collections import Counter

from ..files.tensor_file_fields import to_strings
from ..training_info import TrainingInfo

OURS = "anima_fast_train."
TRIGGER = "modelspec.trigger_phrase"  # what prompts are to say, where interfaces look for it
MODULES = {"LoHa": "lycoris.kohya", "LoKr": "lycoris.kohya"}
MOST_TAGS = 500


def lora_metadata(kind: str, rank: int, alpha: float, info: TrainingInfo) -> dict[str, str]:
    """kind: as artists call it."""
    said = dict(info.settings)
    width, height = info.image_size or (0, 0)
    scripts = {
        "network_module": MODULES.get(kind, "networks.lora"),
        "network_args": json.dumps({"algo": kind.lower()}),
        "network_dim": str(rank),
        "network_alpha": f"{alpha:g}",
        "base_model_version": info.model_family,
        "steps": str(info.steps),
        "max_train_steps": str(said.get("steps", info.steps)),
        "learning_rate": f"{info.found_rate:.4g}" if info.found_rate else info.learning_rate,
        "lr_scheduler": str(said.get("rate_shape", "")),
        "optimizer": "torch.optim.AdamW",
        "batch_size_per_device": str(said.get("batch_size", "")),
        "gradient_accumulation_steps": str(said.get("gradient_accumulation", "")),
        "seed": str(info.seed),
        "resolution": f"({width}, {height})",
        "num_train_images": str(info.reference_count),
        "tag_frequency": json.dumps({"masked references": tag_counts(info.prompt)}),
        "training_comment": "masked LoRA with prior preservation (AnimaFastTrain); the rate counts in units of a layer",
    }
    ours = {OURS + name: text for name, text in to_strings(info).items()}
    asked_for = {TRIGGER: info.words} if info.words else {}
    return {**{f"ss_{name}": text for name, text in scripts.items()}, **asked_for, **ours}


def tag_counts(prompt: str) -> dict[str, int]:
    """How often each tag stands in the captions, one a line."""
    tags = (tag.strip() for caption in prompt.splitlines() for tag in caption.split(","))
    return dict(Counter(tag for tag in tags if tag).most_common(MOST_TAGS))
