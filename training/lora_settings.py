"""What a LoRA is: its kind, its size, and where in the model it acts."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from ..declared import ARTIST, setting, setting_like
from .settings import TrainingSettings
from .token_settings import TRAINING

Kind = Literal["LoRA", "LoCon", "LoHa", "LoKr", "DyLoRA"]
Layers = Literal["attention", "attention and MLP", "all linear layers"]
Layout = Literal["sd-scripts", "peft"]
LORA = "LoRA"

PRIOR_SHARE = 1 / 2  # of prior_weight: as much as is needed beside weight decay

KINDS: dict[Kind, str] = {
    "LoRA": "two thin matrices for each linear layer, the usual one",
    "LoCon": "the same for convolutions too, where the model has them",
    "LoHa": "two pairs of them multiplied entry by entry; slow to train",
    "LoKr": "a Kronecker product, the smallest file",
    "DyLoRA": "a LoRA whose first ranks are trained to do alone; saved at the smallest rank that suffices",
}
LAYERS: dict[Layers, str] = {
    "attention": "smaller, learns less of the picture",
    "attention and MLP": "what most LoRAs have",
    "all linear layers": "what modulates, embeds and ends the model too",
}
LAYOUTS: dict[Layout, str] = {
    "sd-scripts": "what ComfyUI, the webui, Forge and sd-scripts read",
    "peft": "what diffusers and peft read, and ComfyUI too; of LoRA, LoCon and DyLoRA alone",
}


@dataclass(frozen=True)
class LoraSettings:
    """Of the adapter alone."""

    kind: Kind = setting(
        "LoRA",
        help="What is trained.",
        topic=TRAINING,
        audience=ARTIST,
        choices=KINDS,
        public_id="lora_kind",
    )
    rank: int = setting(
        8,
        help="How wide the matrices are; of a DyLoRA the largest width. More remember more of the picture, also what "
        "you do not want.",
        topic=TRAINING,
        audience=ARTIST,
        least=1,
        most=1024,
        widget_most=128,
        public_id="lora_rank",
    )
    alpha: float = setting(
        0.0,
        help="As in other trainers: what is learned acts alpha / rank times. 0 takes the rank, so that it acts once.",
        topic=LORA,
        least=0.0,
        most=1e6,
        widget_most=1024.0,
        step=0.5,
        public_id="lora_alpha",
    )
    layers: Layers = setting(
        "attention and MLP",
        help="Which linear layers learn.",
        topic=TRAINING,
        choices=LAYERS,
        public_id="lora_layers",
    )

    @property
    def strength(self) -> float:
        """alpha / rank."""
        return self.alpha / self.rank if self.alpha else 1.0


@dataclass(frozen=True)
class LoraFileSettings:
    """How the file is written; training does not depend on it."""

    layout: Layout = setting(
        "sd-scripts",
        help="What the tensors in the LoRA's file are called.",
        topic=LORA,
        choices=LAYOUTS,
        public_id="lora_layout",
    )

    def check_fits(self, settings: LoraSettings) -> None:
        """Raises ValueError where the layout has no names for the kind: better before a training than after it."""
        if self.layout == "peft" and settings.kind in ("LoHa", "LoKr"):
            raise ValueError(f"lora_layout is 'peft', which has no names for a {settings.kind}, expected 'sd-scripts'")


@dataclass(frozen=True)
class LoraTrainingSettings(TrainingSettings, LoraSettings):
    """One training of a LoRA: how it is trained and what it is. What the first says of tokens does not touch it.

    A LoRA acts in every layer: weight decay keeps out of it what the picture does not ask for, which leaves less for
    prior preservation to hold. How its defaults were chosen is in docs/measurements.md.
    """

    steps: int = setting_like(TrainingSettings, "steps", 1000)
    weight_decay: float = setting_like(TrainingSettings, "weight_decay", 0.3)

    @property
    def prior_count(self) -> float:
        return PRIOR_SHARE * self.prior_weight


def with_lora(settings: TrainingSettings, lora: LoraSettings) -> LoraTrainingSettings:
    """Both together; where the first has no weight decay, a LoRA's own."""
    values = {**_values(settings), **_values(lora)}
    return LoraTrainingSettings(**values | {"weight_decay": settings.weight_decay or LoraTrainingSettings.weight_decay})


def _values(declared: Any) -> dict[str, Any]:
    return {field.name: getattr(declared, field.name) for field in fields(declared)}
