"""Measures what cropping to the mask brings: tokens a step at equal detail on the subject, and the loss after equal
time.

A character covers 6 % of a picture of 1024x1024 pixels. Three trainings get the same time: the picture cropped to the
mask, the whole picture enlarged until the subject has as many pixels as in the crop, and the whole picture at the size
of the crop.
Each context is then judged inside the mask under three framings of equal detail: the crop, a wider crop that none of
them was trained on, and the whole picture.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy
from PIL import Image

from ...masking import box_of_mask
from ...masking.framing import Framing
from ...masking.pixels import tensor_of
from ..evaluation import EvaluationGrid
from ..miniature import background, character
from ..miniature.backbone import MiniatureBackbone
from ..miniature.scene import SIDE, SUPERSAMPLING
from ..references.encode import encode_references
from ..references.prepare import prepare_reference
from ..references.reference import Reference, make_reference
from ..settings import TrainingSettings
from .equal_time import equal_steps, train_timed

FIRST_SEED = 300
IMAGE_SIDE = 1024
COVERAGE = 0.06
MARGIN = 0.1
WIDER_MARGIN = 0.5
TRAINING_SIZE = 512
GRID_ENTRIES = 16


@dataclass(frozen=True)
class Row:
    """One training of one reference; losses are inside the mask, relative to the model without context (1 = nothing
    learned)."""

    reference: int
    training: str
    size: tuple[int, int]
    tokens: int
    steps: int
    seconds: float
    loss_in_crop: float
    loss_in_wider_crop: float
    loss_in_whole: float


def far_scene(seed: int) -> Reference:
    """An unseen character that covers 6 % of a large picture with a busy background."""
    rng = random.Random(f"far {seed}")
    who, pose = character.draw_unseen_character(rng), character.draw_pose(rng, "full body")
    layer = character.paint(who, pose, SIDE * SUPERSAMPLING)
    share = float(numpy.asarray(layer.getchannel("A")).mean()) / 255
    side = round(IMAGE_SIDE * math.sqrt(COVERAGE / share))
    layer = character.paint(who, pose, side)
    busy = [pattern for pattern in background.PATTERNS if pattern != "plain"]
    image, words = background.draw_background(IMAGE_SIDE, rng, rng.choice(busy))
    place = (rng.randint(0, IMAGE_SIDE - side), rng.randint(0, IMAGE_SIDE - side))
    mask = Image.new("L", image.size)
    image.paste(layer, place, layer)
    mask.paste(layer.getchannel("A"), place)
    caption = ", ".join(("1girl", *pose.tags, *words))
    return make_reference(tensor_of(image), tensor_of(mask), caption, name=f"far {seed}")


def framings(reference: Reference, size: int) -> dict[str, Framing]:
    """Framings in which the subject has as many pixels as in a crop to the mask at training size `size`, the crop
    first."""
    crop = Framing(size=size, crop_to_mask=True, crop_margin=MARGIN)
    assert reference.mask is not None
    box, wider = box_of_mask(reference.mask, MARGIN), box_of_mask(reference.mask, WIDER_MARGIN)
    scale = size / math.sqrt(box.width * box.height)
    return {
        "cropped to the mask": crop,
        "wider crop": Framing(
            size=round(scale * math.sqrt(wider.width * wider.height)), crop_to_mask=True, crop_margin=WIDER_MARGIN
        ),
        "whole, equal detail": Framing(size=round(scale * IMAGE_SIDE)),
        "whole, equal size": Framing(size=size),
    }


def tokens_of(reference: Reference, framing: Framing) -> int:
    """Latent tokens of a framed picture: patches of 2x2 cells of 8x8 pixels."""
    height, width = prepare_reference(reference, framing).image.shape[:2]
    return height * width // framing.multiple**2


def measure(references: int, steps: int, say: Callable[[str], None]) -> list[Row]:
    """The rows of `references` far pictures; `steps` are those of the cropped training, whose time the others get."""
    backbone = MiniatureBackbone()
    rows = []
    for seed in range(FIRST_SEED, FIRST_SEED + references):
        reference = far_scene(seed)
        encoded = {
            name: encode_references(backbone, [reference], framing)
            for name, framing in framings(reference, SIDE).items()
        }
        grids = {
            name: EvaluationGrid(backbone, encoded[name], GRID_ENTRIES)
            for name in ("cropped to the mask", "wider crop", "whole, equal detail")
        }
        cropped = TrainingSettings(steps=steps, seed=seed)
        for name in ("cropped to the mask", "whole, equal detail", "whole, equal size"):
            settings = cropped
            if name != "cropped to the mask":
                settings = replace(
                    cropped,
                    steps=equal_steps(backbone, (encoded["cropped to the mask"], cropped), (encoded[name], cropped)),
                )
            took, result = train_timed(backbone, encoded[name], settings)
            learned = result.trained.positive.at
            width, height = encoded[name][0].image_size
            shares = [grid.measure(learned).inside / grid.before.inside for grid in grids.values()]
            rows.append(Row(seed, name, (width, height), width * height // 16**2, settings.steps, took, *shares))
            say(
                f"{name}, picture {seed}: {width}x{height}, {settings.steps} steps in {took:.1f} s, "
                f"losses {', '.join(f'{s:.3f}' for s in shares)}"
            )
    return rows


def report(rows: list[Row]) -> str:
    """The tokens at training size 512, and the medians of the trainings as a Markdown table."""
    seeds = list(dict.fromkeys(row.reference for row in rows))
    ratios = []
    for seed in seeds:
        reference = far_scene(seed)
        at_size = framings(reference, TRAINING_SIZE)
        ratios.append(
            tokens_of(reference, at_size["whole, equal detail"]) / tokens_of(reference, at_size["cropped to the mask"])
        )
    lines = [
        f"latent tokens a step at training size {TRAINING_SIZE} and equal detail: {min(ratios):.1f} to "
        f"{max(ratios):.1f} times fewer with the crop (median {statistics.median(ratios):.1f})",
        "",
        "| training | tokens | steps | seconds | loss in the crop | in a wider crop | in the whole picture |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(row.training for row in rows):
        of_training = [asdict(row) for row in rows if row.training == name]
        middle = {
            key: statistics.median(row[key] for row in of_training)
            for key in of_training[0]
            if key not in ("training", "size")
        }
        losses = " | ".join(f"{middle[key]:.3f}" for key in ("loss_in_crop", "loss_in_wider_crop", "loss_in_whole"))
        lines.append(
            f"| {name} | {middle['tokens']:.0f} | {middle['steps']:.0f} | {middle['seconds']:.1f} | {losses} |"
        )
    lines += [
        "",
        "Losses are medians inside the mask over those of the model without context, on a fixed grid of sigma and "
        "noise.",
    ]
    return "\n".join(lines)
