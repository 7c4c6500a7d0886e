"""The trainings that are compared: the defaults, the oracle with six pictures, version 0.1, and each mechanism alone.

A row of the table is a line of `TRAININGS`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from ..aims import AimOptions
from ..embedding_settings import EmbeddingTrainingSettings
from ..lora_settings import LoraTrainingSettings
from ..references.augmentation import ImageAugmentation
from ..settings import TrainingSettings


@dataclass(frozen=True)
class Recipe:
    """How a context is trained.

    pictures: 1 is the reference alone; more are true pictures of its character in other poses before other backgrounds.
    prompt_alone: samples have what is trained on their prompt and not on the negative prompt.
    """

    settings: TrainingSettings = TrainingSettings()
    images: ImageAugmentation = ImageAugmentation()
    pictures: int = 1
    prompt_alone: bool = False

    def but(self, **values: Any) -> Recipe:
        """The same with other values, each put where a field of that name is. Raises TypeError for a name that none
        has."""
        parts: dict[str, Any] = {"settings": self.settings, "images": self.images}
        own = {name: value for name, value in values.items() if name in ("pictures", "prompt_alone")}
        rest = {name: value for name, value in values.items() if name not in own}
        for part, settings in parts.items():
            names = {field.name for field in fields(settings)} & rest.keys()
            parts[part] = replace(settings, **{name: rest.pop(name) for name in names})
        if rest:
            raise TypeError(f"no setting is called {', '.join(sorted(rest))}")
        return replace(self, **parts, **own)

    @property
    def training(self) -> Recipe:
        """The same without what changes nothing in the training."""
        return replace(self, prompt_alone=False)

    def record(self) -> dict[str, Any]:
        """Plain values by name, and what the kind of training makes of them."""
        return asdict(self) | {"prior_count": self.settings.prior_count}


# What version 0.1 trained by default, written out so that it stays what it was.
TODAY = Recipe(
    TrainingSettings(
        steps=300,
        learning_rate="0.3",
        rate_shape="cosine",
        warm_up=0.02,
        batch_size=4,
        gradient_accumulation=1,
        weight_decay=0.0,
        clip_norm=0.0,
        clip_value=0.0,
        ema=0.0,
        timestep_sampling="logit_normal",
        timestep_shift=0.0,
        stratified=True,
        evaluations=4,
        patience=0,
        noise_pool=0,
        num_tokens=16,
        token_norm="raw",
        token_attention="shared",
        init_std=0.02,
        init_text="",
        subject_words="",
        negative_tokens=0,
        time_ranges=0,
        per_block=True,
        unmasked_weight=0.0,
        normalize_area=True,
        prior_weight=1.6,
        balance_prior=True,
    ),
    ImageAugmentation(flip=False, random_crop=0.0, cut_paste=0.0, backgrounds="its own"),
)
DEFAULTS = Recipe()
EMBEDDING = Recipe(EmbeddingTrainingSettings())
LORA = Recipe(LoraTrainingSettings())
AS_IT_IS = AimOptions("this picture, most detail")

TRAININGS: dict[str, Recipe] = {
    "defaults": DEFAULTS,
    "six pictures": DEFAULTS.but(pictures=6),
    "defaults, in the prompt's attention": DEFAULTS.but(token_attention="shared"),
    "defaults, tokens of any length": DEFAULTS.but(token_norm="unbounded"),
    "today": TODAY,
    "bounded tokens alone": TODAY.but(token_norm="prompt"),
    "automatic rate alone": TODAY.but(token_norm="unbounded", learning_rate="auto"),
    "cut-paste alone": TODAY.but(cut_paste=0.75, backgrounds="drawn"),
    "random crops alone": TODAY.but(random_crop=0.3),
    "defaults, plain backgrounds": DEFAULTS.but(backgrounds="plain colours"),
    "LoRA": LORA,
    "LoRA, on the prompt alone": LORA.but(prompt_alone=True),
    "LoRA without prior preservation": LORA.but(prior_weight=0.0),
    "embedding": EMBEDDING,
    "embedding pair": EMBEDDING.but(negative_vectors=8),
    "aim: this picture": Recipe(AS_IT_IS.settings(DEFAULTS.settings), AS_IT_IS.images(DEFAULTS.images)),
}

# Where a training is at home, if not on every model.
AT_HOME = {
    name: "epsilon" for name, recipe in TRAININGS.items() if isinstance(recipe.settings, EmbeddingTrainingSettings)
}
