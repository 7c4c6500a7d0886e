"""The columns that a manifest may have: what is learned, and every setting of training by its name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from ...declared import Setting, check_value, settings_of
from ...masking.framing import Framing
from ...masking.shape import MaskShape
from ...masking.wording import quoted
from ..aims import AimOptions
from ..references.augmentation import ImageAugmentation
from ..references.caption import CaptionOptions
from ..run_options import RunOptions
from ..settings import TrainingSettings

# What is no setting, in the order in which the help names it.
OWN = ("image", "mask", "prompt", "mask_source", "whole", "captions", "attention_map")
GROUPS: tuple[type, ...] = (TrainingSettings, AimOptions, Framing, MaskShape, CaptionOptions, ImageAugmentation)
REDUCTION = "mask_reduction"
# Of RunOptions; the other one, mask_source, reads files here and has a column of its own.
OF_COMFYUI = ("precision", "checkpointing")

WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,100}")
NUMBER = re.compile(r"[+-]?([0-9]{1,100}\.?[0-9]{0,100}|\.[0-9]{1,100})(e[+-]?[0-9]{1,4})?", re.IGNORECASE)
TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def setting_columns(inside_comfyui: bool) -> dict[str, Setting]:
    """The settings by their public ids. inside_comfyui: also those that only a model of ComfyUI has."""
    of_run = (REDUCTION, *(OF_COMFYUI if inside_comfyui else ()))
    declared = [each for group in GROUPS for each in settings_of(group)]
    declared += [each for each in settings_of(RunOptions) if each.public_id in of_run]
    return {each.public_id: each for each in declared}


def column_names(settings: Mapping[str, Setting]) -> dict[str, str]:
    """{a name that a column may have: its own name or the setting's public id}; a setting answers to its option on the
    command line and its input on the nodes too."""
    names = {name: name for name in OWN}
    for public_id, each in settings.items():
        for name in (each.option, each.node_id, public_id):
            if name is not None:
                names[name] = public_id
    return names


def column_of(heading: str, names: Mapping[str, str]) -> str:
    """What a heading means: "Train Steps" and "train-steps" are train_steps. Raises ValueError for an unknown one."""
    asked = re.sub(r"[\s_-]+", "_", heading.strip().casefold()[:100])
    if asked in names:
        return names[asked]
    near = difflib.get_close_matches(asked, names, 1)
    meant = f"; did you mean {near[0]}?" if near else ""
    raise ValueError(
        f"column {quoted(heading, 40)} is unknown, expected {', '.join(OWN[:3])} or the name of a setting{meant}"
    )


def value_of(declared: Setting, text: str) -> Any:
    """What a cell says of a setting. Raises ValueError that names the setting, what came and what was expected."""
    value: Any = text
    if declared.kind is int and WHOLE_NUMBER.fullmatch(text):
        value = int(text)
    elif declared.kind is float and NUMBER.fullmatch(text):
        value = float(text)
    elif declared.kind is bool:
        value = yes_or_no(text, declared.public_id)
    check_value(declared, value, declared.public_id)
    return value


def yes_or_no(text: str, name: str) -> bool:
    said = text.casefold()
    if said not in TRUE + FALSE:
        raise ValueError(f"{name} is {quoted(text, 60)}, expected yes or no")
    return said in TRUE
