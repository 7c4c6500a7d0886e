"""The inputs of Training Options that say how much references vary from step to step."""

from __future__ import annotations

import inspect

from comfy_api.latest import io

from ..training.caption import CaptionOptions
from ..training.reference import Framing
from ..training.variants import Augmentation

DEFAULTS = CaptionOptions()


def augmentation_inputs() -> list[io.Input]:
    """All optional, so that workflows from before they came still run."""
    return [
        io.Boolean.Input(
            "enlarge",
            default=Framing().enlarge,
            optional=True,
            advanced=True,
            tooltip="Off: pictures and crops smaller than training_image_size train at their own size, which is faster and invents no detail.",
        ),
        io.Boolean.Input(
            "flip_augmentation",
            default=Augmentation().flip,
            optional=True,
            tooltip="Show every reference mirrored in half of its draws. Leave it off for asymmetric characters: an eyepatch changes sides.",
        ),
        io.String.Input("name", default=DEFAULTS.name, optional=True, tooltip="What takes the place of [name] in training_prompt and in captions."),
        io.Boolean.Input(
            "shuffle_tags",
            default=DEFAULTS.shuffle_tags,
            optional=True,
            advanced=True,
            tooltip="Shuffle the comma-separated tags of captions, so that their order means nothing.",
        ),
        io.Float.Input(
            "tag_dropout",
            default=DEFAULTS.tag_dropout,
            min=0.0,
            max=1.0,
            step=0.01,
            optional=True,
            advanced=True,
            tooltip="Share of the tags that are left out at random, so that the context leans on none of them.",
        ),
        io.Float.Input(
            "caption_dropout",
            default=DEFAULTS.caption_dropout,
            min=0.0,
            max=1.0,
            step=0.01,
            optional=True,
            advanced=True,
            tooltip="Share of the draws under an empty prompt, so that the context also works without words; 1 trains without any prompt.",
        ),
    ]


def read_augmentation(
    flip_augmentation: bool = Augmentation().flip,
    name: str = DEFAULTS.name,
    shuffle_tags: bool = DEFAULTS.shuffle_tags,
    tag_dropout: float = DEFAULTS.tag_dropout,
    caption_dropout: float = DEFAULTS.caption_dropout,
) -> Augmentation:
    """What the inputs say; the templates come from the training node."""
    return Augmentation(CaptionOptions("", name, shuffle_tags, tag_dropout, caption_dropout), flip_augmentation)


AUGMENTATION_INPUTS = tuple(inspect.signature(read_augmentation).parameters)
