"""The node for what is rarely changed about training."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args

from comfy_api.latest import io

from ...masking.framing import FITS, Fit, Framing
from ...masking.latent import REDUCTIONS, Reduction
from ...masking.sources import MASK_SOURCES, MaskSource
from ...training.learning_rate import Shape
from ...training.settings import TrainingSettings
from ..anima.backbone import Precision
from ..anima.recompute import Checkpointing
from ..folders.checkpoints import CheckpointOptions, checkpoint_inputs
from ..live.previews import PreviewOptions, preview_inputs
from ..socket_types import CATEGORY, Options
from .augmentation_inputs import AUGMENTATION_INPUTS, augmentation_inputs, image_augmentation_inputs, read_augmentation
from .steering_inputs import emphasis_inputs, steering_inputs
from .training_options import TrainingOptions

DEFAULTS = TrainingOptions()
SETTINGS = DEFAULTS.settings
CHECKPOINT_INPUTS = tuple(field.name for field in fields(CheckpointOptions))
PREVIEW_INPUTS = tuple(field.name for field in fields(PreviewOptions))
# The sources that read a MASK; the others read files and belong to the command line.
NODE_MASK_SOURCES: tuple[MaskSource, ...] = ("mask", "inverted mask")


class TrainingOptionsNode(io.ComfyNode):
    """Every option has the default that training uses without this node."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimaFastTrainOptions",
            display_name="AnimaFastTrain - Training Options",
            category=CATEGORY,
            description="Options for the training nodes. Without it they use the same defaults.",
            search_aliases=[
                "training settings",
                "training parameters",
                "prior preservation",
                "mask options",
                "gradient checkpointing",
            ],
            inputs=[
                *loss_inputs(),
                *mask_inputs(),
                *schedule_inputs(),
                *hardware_inputs(),
                # Saved workflows hold values by place, so that what came later stands below.
                *augmentation_inputs(),
                *steering_inputs(),
                *checkpoint_inputs(),
                *preview_inputs(),
                *image_augmentation_inputs(),
                *emphasis_inputs(),
            ],
            outputs=[Options.Output("options", tooltip="For a training node or Preview Training Mask.")],
        )

    @classmethod
    def execute(
        cls,
        fit: Fit,
        crop_to_mask: bool,
        crop_margin: float,
        mask_source: MaskSource,
        mask_reduction: Reduction,
        checkpointing: Checkpointing,
        precision: Precision,
        enlarge: bool = Framing().enlarge,
        **others: Any,
    ) -> io.NodeOutput:
        framing = Framing(fit=fit, crop_margin=crop_margin if crop_to_mask else None, enlarge=enlarge)
        augmentation = read_augmentation(**{name: others.pop(name) for name in AUGMENTATION_INPUTS if name in others})
        checkpoints = CheckpointOptions(**{name: others.pop(name) for name in CHECKPOINT_INPUTS if name in others})
        previews = PreviewOptions(**{name: others.pop(name) for name in PREVIEW_INPUTS if name in others})
        settings = TrainingSettings(**others).validate()
        return io.NodeOutput(
            TrainingOptions(
                settings,
                framing,
                mask_source,
                mask_reduction,
                checkpointing,
                precision,
                augmentation,
                checkpoints,
                previews,
            )
        )


def loss_inputs() -> list[io.Input]:
    return [
        io.Int.Input(
            "batch_size",
            default=SETTINGS.batch_size,
            min=1,
            max=64,
            tooltip="Noised versions of the references seen in one step. More give steadier steps and need more "
            "memory and time.",
        ),
        io.Int.Input(
            "gradient_accumulation",
            default=SETTINGS.gradient_accumulation,
            min=1,
            max=256,
            tooltip="Batches added up before the tokens move. As steady as a larger batch, without its memory.",
        ),
        io.Float.Input(
            "prior_weight",
            default=SETTINGS.prior_weight,
            min=0.0,
            max=100.0,
            step=0.1,
            tooltip="How firmly the picture outside the mask is held to what the model draws without the context. 0 "
            "lets the context change backgrounds too.",
        ),
        io.Float.Input(
            "unmasked_weight",
            default=SETTINGS.unmasked_weight,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="How much of the reference outside the mask is learned as well: 0 is nothing, 1 is as if there "
            "were no mask.",
        ),
        io.Boolean.Input(
            "normalize_area",
            default=SETTINGS.normalize_area,
            tooltip="On: a small mask trains as strongly as a large one. Off: the loss shrinks with the mask, as in "
            "sd-scripts.",
        ),
    ]


def mask_inputs() -> list[io.Input]:
    return [
        io.Combo.Input(
            "mask_source",
            options=list(NODE_MASK_SOURCES),
            default=DEFAULTS.mask_source,
            tooltip=_choices({name: MASK_SOURCES[name] for name in NODE_MASK_SOURCES}),
        ),
        io.Combo.Input(
            "mask_reduction",
            options=list(REDUCTIONS),
            default=DEFAULTS.mask_reduction,
            advanced=True,
            tooltip="How the mask gets to latent resolution, an eighth of the pixels. " + _choices(REDUCTIONS),
        ),
        io.Boolean.Input(
            "crop_to_mask",
            default=False,
            tooltip="Crop the picture to the mask before training, so that a small subject fills the frame.",
        ),
        io.Float.Input(
            "crop_margin",
            default=0.1,
            min=0.0,
            max=2.0,
            step=0.01,
            advanced=True,
            tooltip="What stays around the mask when cropping, as a share of the longer side of the subject.",
        ),
        io.Combo.Input(
            "fit",
            options=list(FITS),
            default=DEFAULTS.framing.fit,
            advanced=True,
            tooltip="How a picture gets sides that are multiples of 16. " + _choices(FITS),
        ),
    ]


def schedule_inputs() -> list[io.Input]:
    return [
        io.Combo.Input(
            "rate_shape",
            options=list(get_args(Shape)),
            default=SETTINGS.rate_shape,
            advanced=True,
            tooltip="How the learning rate falls over the run: cosine slowly at both ends, linear evenly, constant "
            "not at all.",
        ),
        io.Float.Input(
            "warm_up",
            default=SETTINGS.warm_up,
            min=0.0,
            max=0.99,
            step=0.01,
            advanced=True,
            tooltip="Share of the run in which the learning rate rises from near 0.",
        ),
        io.Combo.Input(
            "timestep_sampling",
            options=["logit_normal", "uniform"],
            default=SETTINGS.timestep_sampling,
            advanced=True,
            tooltip="Which noise levels are trained: logit_normal prefers the middle ones, uniform takes all alike.",
        ),
        io.Float.Input(
            "timestep_shift",
            default=SETTINGS.timestep_shift,
            min=0.0,
            max=100.0,
            step=0.1,
            advanced=True,
            tooltip="Moves training towards noisy levels, where composition is decided. 0 takes the shift the model "
            "samples with.",
        ),
        io.Float.Input(
            "weight_decay",
            default=SETTINGS.weight_decay,
            min=0.0,
            max=1.0,
            step=0.001,
            advanced=True,
            tooltip="Pulls the tokens towards zero in each step. Raise it when a context overpowers the prompt.",
        ),
        io.Float.Input(
            "clip_norm",
            default=SETTINGS.clip_norm,
            min=0.0,
            max=100.0,
            step=0.1,
            advanced=True,
            tooltip="Shortens larger gradients to this length, against sudden jumps of the loss. 0 does not.",
        ),
        io.Float.Input(
            "ema",
            default=SETTINGS.ema,
            min=0.0,
            max=0.9999,
            step=0.0001,
            round=False,
            advanced=True,
            tooltip="Keeps a running average of the tokens instead of the last ones; 0.99 averages about 100 steps, 0 "
            "is off.",
        ),
        io.Boolean.Input(
            "per_block",
            default=SETTINGS.per_block,
            advanced=True,
            tooltip="On: every block of the model gets tokens of its own. Off: all share one set, which learns less "
            "and generalises more.",
        ),
        io.Int.Input(
            "evaluations",
            default=SETTINGS.evaluations,
            min=1,
            max=100,
            advanced=True,
            tooltip="How often the evaluation loss is measured, the last time after the last step. It tells "
            "overfitting from progress.",
        ),
        io.Int.Input(
            "noise_pool",
            default=SETTINGS.noise_pool,
            min=0,
            max=100_000,
            advanced=True,
            tooltip="Noises that training draws from; the model's own predictions for them are computed once. 0 fits "
            "it to the run.",
        ),
    ]


def hardware_inputs() -> list[io.Input]:
    return [
        io.Combo.Input(
            "checkpointing",
            options=list(get_args(Checkpointing)),
            default=DEFAULTS.checkpointing,
            advanced=True,
            tooltip="Computes each block twice to save memory, a third slower. auto does so only where memory would "
            "not suffice.",
        ),
        io.Combo.Input(
            "precision",
            options=list(get_args(Precision)),
            default=DEFAULTS.precision,
            advanced=True,
            tooltip="What the model computes in. auto takes what ComfyUI samples in. Tokens and loss are always fp32.",
        ),
    ]


def _choices(meanings: dict) -> str:
    """The meanings of a combo's choices as one tooltip."""
    return "; ".join(f"{name}: {meaning}" for name, meaning in meanings.items()) + "."
