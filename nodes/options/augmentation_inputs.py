"""The inputs of Training Options that say how much references vary from step to step."""

from __future__ import annotations

import inspect

from comfy_api.latest import io
from torch import Tensor

from ...masking.framing import Framing
from ...training.references.augmentation import BACKGROUNDS, LARGEST_CROP, Augmentation, Backgrounds, ImageAugmentation
from ...training.references.caption import CaptionOptions
from ..anima.backbone import copy_outside_inference

DEFAULTS = CaptionOptions()


def augmentation_inputs() -> list[io.Input]:
    """All optional, so that workflows from before they came still run."""
    return [
        io.Boolean.Input(
            "enlarge",
            default=Framing().enlarge,
            optional=True,
            advanced=True,
            tooltip="Off: pictures and crops smaller than training_image_size train at their own size, which is "
            "faster and invents no detail.",
        ),
        io.Boolean.Input(
            "flip_augmentation",
            default=ImageAugmentation().flip,
            optional=True,
            tooltip="Show every reference mirrored in half of its draws. Leave it off for asymmetric characters: an "
            "eyepatch changes sides.",
        ),
        io.String.Input(
            "name",
            default=DEFAULTS.name,
            optional=True,
            tooltip="What takes the place of [name] in training_prompt and in captions.",
        ),
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
            tooltip="Share of the draws under an empty prompt, so that the context also works without words; 1 trains "
            "without any prompt.",
        ),
    ]


def image_augmentation_inputs() -> list[io.Input]:
    """What keeps a picture from being learned by heart; optional as well, and last of all, since saved workflows hold
    values by place."""
    return [
        io.Float.Input(
            "random_crop",
            default=ImageAugmentation().random_crop,
            min=0.0,
            max=LARGEST_CROP,
            step=0.01,
            optional=True,
            tooltip="Show the reference cropped at random in half of its draws: the share of each side that a crop "
            "may cut off. 0 is off. With 0.3 less of pose and place is learned, so that the subject is drawn more "
            "freely, with less detail.",
        ),
        io.Combo.Input(
            "backgrounds",
            options=list(BACKGROUNDS),
            default=ImageAugmentation().backgrounds,
            optional=True,
            tooltip="In half of the draws put the subject, cut out by its mask, before another background, so that the "
            "context leans less on "
            "its own. " + "; ".join(f"{name}: {meaning}" for name, meaning in BACKGROUNDS.items()) + ".",
        ),
        io.Image.Input(
            "background_images",
            optional=True,
            tooltip="The pictures for backgrounds 'pictures', one or a batch; of any size.",
        ),
    ]


def read_augmentation(
    flip_augmentation: bool = ImageAugmentation().flip,
    name: str = DEFAULTS.name,
    shuffle_tags: bool = DEFAULTS.shuffle_tags,
    tag_dropout: float = DEFAULTS.tag_dropout,
    caption_dropout: float = DEFAULTS.caption_dropout,
    random_crop: float = ImageAugmentation().random_crop,
    backgrounds: Backgrounds = ImageAugmentation().backgrounds,
    background_images: Tensor | None = None,
) -> Augmentation:
    """What the inputs say; the templates come from the training node. Raises ValueError where they make no sense."""
    images = () if background_images is None else tuple(copy_outside_inference(background_images)[..., :3])
    return Augmentation(
        CaptionOptions("", name, shuffle_tags, tag_dropout, caption_dropout),
        ImageAugmentation(flip_augmentation, random_crop, backgrounds, images),
    )


AUGMENTATION_INPUTS = tuple(inspect.signature(read_augmentation).parameters)
