"""The inputs of Training Options that say what tokens there are, what they begin at, what counts most, and when
training ends."""

from __future__ import annotations

from comfy_api.latest import io

from ...training.settings import LARGEST_ATTENTION, TrainingSettings

SETTINGS = TrainingSettings()


def steering_inputs() -> list[io.Input]:
    """All optional, so that workflows from before they came still run; each is named as in TrainingSettings."""
    return [
        io.String.Input(
            "init_text",
            default=SETTINGS.init_text,
            optional=True,
            advanced=True,
            tooltip="Words whose meaning the tokens begin at, such as 'red hair, long coat'. Empty begins near zero.",
        ),
        io.Int.Input(
            "negative_tokens",
            default=SETTINGS.negative_tokens,
            min=0,
            max=256,
            optional=True,
            advanced=True,
            tooltip="Tokens for the negative prompt, trained together with the others; a step takes twice as long. 0 "
            "trains none. Sample them with apply_to 'both' in Patch Model.",
        ),
        io.Float.Input(
            "cfg",
            default=SETTINGS.cfg,
            min=0.0,
            max=100.0,
            step=0.1,
            optional=True,
            advanced=True,
            tooltip="How far the two prompts are driven apart while training with negative_tokens; about the cfg you "
            "sample with.",
        ),
        io.Int.Input(
            "time_ranges",
            default=SETTINGS.time_ranges,
            min=0,
            max=32,
            optional=True,
            advanced=True,
            tooltip="In how many parts of sampling the tokens may differ: early ones decide composition, late ones "
            "detail. 0 keeps them alike.",
        ),
        io.Float.Input(
            "clip_value",
            default=SETTINGS.clip_value,
            min=0.0,
            max=100.0,
            step=0.001,
            round=False,
            optional=True,
            advanced=True,
            tooltip="Limits each entry of the gradient to this size. 0 does not.",
        ),
        io.Int.Input(
            "patience",
            default=SETTINGS.patience,
            min=0,
            max=100,
            optional=True,
            advanced=True,
            tooltip="Stop when so many evaluations in a row brought no improvement. 0 runs all steps. The best tokens "
            "are kept either way.",
        ),
    ]


def emphasis_inputs() -> list[io.Input]:
    return [
        io.Float.Input(
            "attention_weight",
            default=SETTINGS.attention_weight,
            min=1.0,
            max=LARGEST_ATTENTION,
            step=0.1,
            optional=True,
            advanced=True,
            tooltip="How many times white of an attention_map counts, where black counts once. 1 is as without the "
            "map.",
        ),
    ]
