"""What a run in ComfyUI is told beside how to train: how masks are read, what it costs, and what it keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..declared import ARTIST, Setting, setting, settings_of
from ..masking.framing import PICTURE, Framing
from ..masking.latent import REDUCTIONS, Reduction
from ..masking.sources import MASK_SOURCES, MaskSource
from .aims import AimOptions
from .references.augmentation import ImageAugmentation
from .references.caption import CaptionOptions
from .settings import TrainingSettings
from .token_settings import TRAINING

Recompute = Literal["auto", "on", "off"]
Precision = Literal["auto", "bf16", "fp16", "fp32"]

MEMORY, WATCHING, LATER = "Memory and speed", "Watching", "Going on later"
# The sources that read a MASK; the others read files and belong to the command line.
NODE_MASK_SOURCES: tuple[MaskSource, ...] = ("mask", "inverted mask")
LARGEST_INTERVAL = 1_000_000  # steps
LONGEST_NAME = 1000
MOST_RECENT = 10_000
FOLDER_OF_CHECKPOINTS = "anima_checkpoints"
FOLDER_OF_PREVIEWS = "anima_previews"


@dataclass(frozen=True)
class RunOptions:
    """How a node reads masks, and what its model may cost."""

    mask_source: MaskSource = setting(
        "mask",
        help="What of the mask is learned.",
        topic=PICTURE,
        audience=ARTIST,
        choices={name: MASK_SOURCES[name] for name in NODE_MASK_SOURCES},
        option=None,
    )
    mask_reduction: Reduction = setting(
        "area",
        help="How the mask gets to latent resolution, an eighth of the pixels.",
        topic=PICTURE,
        choices=REDUCTIONS,
        option="reduction",
    )
    recompute: Recompute = setting(
        "auto",
        help="Computes each block twice to save memory, a third slower. auto does so only where memory would not "
        "suffice, and says so in info when it had to.",
        topic=MEMORY,
        public_id="checkpointing",
        option=None,
    )
    precision: Precision = setting(
        "auto",
        help="What the model computes in. auto takes what ComfyUI samples in. Tokens and loss are always fp32.",
        topic=MEMORY,
        option=None,
    )


# The command line asks for previews and checkpoints in words of its own: it keeps them in the folder of its results.
@dataclass(frozen=True)
class PreviewSettings:
    """Pictures that the tokens of the moment draw while training runs."""

    preview_every: int = setting(
        50,
        help="After every so many steps, draw the training prompt with what is learned so far, always from the same "
        "noise. The picture stays on the node until the next one comes; before the first one the node shows the "
        "model's guess at the reference. 0 draws none. Training itself is the same with and without.",
        topic=WATCHING,
        audience=ARTIST,
        least=0,
        most=LARGEST_INTERVAL,
        widget_most=100_000,
        unit="steps",
        option=None,
    )
    preview_name: str = setting(
        "training",
        help=f"The folder for previews in ComfyUI's output folder {FOLDER_OF_PREVIEWS}: a PNG, and beside it the "
        "context that drew it. Runs are numbered, so nothing is overwritten.",
        topic=WATCHING,
        longest=LONGEST_NAME,
        option=None,
    )


@dataclass(frozen=True)
class CheckpointSettings:
    """When a run is saved, and which one goes on."""

    checkpoint_every: int = setting(
        0,
        help="Save the run after every so many steps, and when it is cancelled, so that it can go on later. 0 does "
        "not.",
        topic=LATER,
        least=0,
        most=LARGEST_INTERVAL,
        widget_most=100_000,
        unit="steps",
        option=None,
    )
    checkpoint_name: str = setting(
        "training",
        help=f"The checkpoint's file in ComfyUI's output folder {FOLDER_OF_CHECKPOINTS}; each save takes the place of "
        "the one before.",
        topic=LATER,
        longest=LONGEST_NAME,
        option=None,
    )
    resume_from: str = setting(
        "",
        help="The name of a checkpoint to go on from, to the same tokens as without the pause; it needs the same "
        "references and settings. Empty starts anew.",
        topic=LATER,
        longest=LONGEST_NAME,
        option=None,
    )


@dataclass(frozen=True)
class RecentSettings:
    """How many finished contexts are kept without being asked for."""

    keep_recent: int = setting(
        20,
        help="So many finished contexts are kept in models/anima_contexts/recent, named by time and prompt; the one "
        "that was not used for longest goes first. The same training is found there instead of run again, until its "
        "seed changes. 0 keeps none and finds none.",
        topic=LATER,
        least=0,
        most=MOST_RECENT,
        unit="contexts",
        option=None,
    )


# All that the nodes ask for: the topic `TRAINING` on the training nodes, the others on Training Options.
GROUPS: tuple[type, ...] = (
    TrainingSettings,
    AimOptions,
    RunOptions,
    Framing,
    CaptionOptions,
    ImageAugmentation,
    PreviewSettings,
    CheckpointSettings,
    RecentSettings,
)


def settings_in(groups: tuple[type, ...] = GROUPS, *, of_training_nodes: bool) -> tuple[Setting, ...]:
    """The settings of the groups that are widgets of the training nodes, or those of Training Options."""
    return tuple(
        each
        for group in groups
        for each in settings_of(group)
        if each.node_id is not None and (each.topic == TRAINING) == of_training_nodes
    )
