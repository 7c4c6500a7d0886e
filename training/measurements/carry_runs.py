"""Trains one reference in one way, and measures what samples under other prompts then show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from ..miniature.backbone import GUIDANCE
from ..miniature.identity import Character
from ..miniature.scene import draw_elsewhere
from ..result import TrainingResult
from ..train import train_what_is_asked
from ..trainables.trainable import Acting
from . import carry_score
from .carry_prompts import OPEN_PROMPTS, PROMPTS
from .carry_score import Seen
from .carry_trainings import Recipe
from .carry_yardstick import Yardstick, encoded_scenes, few
from .on_the_prompt import OnThePrompt

GUIDANCES = (GUIDANCE, 3.0)  # the miniature's own, and one nearer to what artists use
SCALES = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)  # of the frontier


@dataclass(frozen=True)
class Row:
    """One training of one reference, its samples at one guidance.

    identity, colours, hairstyle, outfit, accessory: 0 as the model without context, 1 as true pictures. PART_seen: the
    share of samples that show it, of those beside which a true picture is read rightly. top1: the share of samples
    nearer to the character than to 20 others. obedience, obeys_WORD, freedom: shares of the model's own. own_pose: how
    much of the reference's own pose is seen where prompts leave it open, 0..1.
    leak: how far predictions outside the mask move in other scenes under their own prompts, over the error there.
    inside_before, inside_after: the evaluation loss of the pictures trained on. elsewhere: the loss inside the mask in
    other scenes, over the one without context. seconds: of the training. unseen: the evaluation loss on views that
    training holds back, over the one without context; unseen_leak: the leak there. rate: which training found itself.
    frontier: [scale, identity, obedience] of a few samples at each scale of the context. in_words: the figures of
    samples without a context whose prompts name the character as well as captions can. known_in_words: the same of a
    character that the model was pretrained on and captions name whole: the best that the model draws of anybody.
    """

    seed: int
    training: str
    guidance: float
    identity: float
    top1: float
    obedience: float
    freedom: float
    leak: float
    inside_before: float
    inside_after: float
    elsewhere: float
    seconds: float
    colours: float
    hairstyle: float
    outfit: float
    accessory: float
    hairstyle_seen: float | None
    outfit_seen: float | None
    accessory_seen: float | None
    obeys_background: float
    obeys_pattern: float
    obeys_expression: float
    obeys_pose: float
    obeys_framing: float
    own_pose: float
    own_pose_base: float
    top1_base: float
    top1_true: float
    unseen: float | None
    unseen_leak: float | None
    rate: float | None
    frontier: list[list[float]]
    in_words: dict[str, float | None]
    known_in_words: dict[str, float | None]
    recipe: dict[str, Any] = field(default_factory=dict)


def train(yard: Yardstick, recipe: Recipe) -> TrainingResult:
    """What a recipe trains; with more pictures than one the reference itself is not among them."""
    scenes = [yard.reference]
    if recipe.pictures > 1:
        scenes = [draw_elsewhere(yard.seed, number) for number in range(recipe.pictures)]
    encoded = encoded_scenes(yard.backbone, scenes, recipe.images, yard.seed)
    return train_what_is_asked(yard.backbone, encoded, replace(recipe.settings, seed=yard.seed))


def measured_rows(
    yard: Yardstick,
    name: str,
    recipe: Recipe,
    result: TrainingResult,
    show: Callable[[float, Tensor], None] = lambda guidance, samples: None,
) -> list[Row]:
    """A row for each guidance of what the recipe trained. show: gets the guidance and the samples [PROMPTS*SEEDS,H,W,3]
    of the named prompts."""
    before, after = result.before, result.after
    trained = OnThePrompt(result.trained) if recipe.prompt_alone else result.trained
    unhelped, elsewhere = yard.elsewhere(trained)
    rows = []
    for guidance in GUIDANCES:
        pictures, seen = yard.samples(trained, guidance)
        show(guidance, pictures)
        rows.append(
            Row(
                seed=yard.seed,
                training=name,
                guidance=guidance,
                leak=elsewhere.leak,
                inside_before=before.inside,
                inside_after=after.inside,
                elsewhere=elsewhere.inside / unhelped.inside,
                seconds=result.seconds,
                unseen=after.unseen / before.unseen if after.unseen is not None and before.unseen else None,
                unseen_leak=after.unseen_leak,
                rate=result.found_rate.rate if result.found_rate.steps else None,
                frontier=frontier(yard, trained, guidance, seen),
                in_words=in_words(yard, guidance),
                known_in_words=known_in_words(yard, guidance),
                recipe=recipe.record(),
                **figures(yard, seen, guidance),  # type: ignore[arg-type]
            )
        )
    return rows


def in_words(yard: Yardstick, guidance: float) -> dict[str, float | None]:
    """What is read in samples that are asked for the character in words."""
    seen = yard.in_words(guidance)
    figures = _figures(yard, seen, guidance, yard.who, yard.truth)
    return {**figures, "top1": carry_score.top1(seen, yard.who, yard.seed)}


def known_in_words(yard: Yardstick, guidance: float) -> dict[str, float | None]:
    """What is read in samples that are asked for a character of the pretraining set, which the others of `top1` would
    be too far from."""
    return _figures(yard, yard.known_in_words(guidance), guidance, *yard.known)


def _figures(yard: Yardstick, seen: Seen, guidance: float, who: Character, truth: Seen) -> dict[str, float | None]:
    """What samples without a context are read for too."""
    _, base = yard.base(guidance)
    return {
        **carry_score.identity(seen, base, truth, who),
        **carry_score.seen_as_in_truth(seen, truth, who),
        **carry_score.obedience(seen, base, yard.asked),
        "freedom": carry_score.freedom(seen, base, PROMPTS, OPEN_PROMPTS),
    }


def figures(yard: Yardstick, seen: Seen, guidance: float) -> dict[str, float | None]:
    """All of a row that is read in samples."""
    _, base = yard.base(guidance)
    assert seen.free is not None and base.free is not None
    return {
        **_figures(yard, seen, guidance, yard.who, yard.truth),
        "own_pose": carry_score.own_pose(seen.free, yard.pose),
        "own_pose_base": carry_score.own_pose(base.free, yard.pose),
        **{
            name: carry_score.top1(each, yard.who, yard.seed)
            for name, each in (("top1", seen), ("top1_base", base), ("top1_true", yard.truth))
        },
    }


def shown_and_obeyed(yard: Yardstick, trained: Acting) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Identity and obedience of samples, at each of `GUIDANCES`."""
    identity, obedience = [], []
    for guidance in GUIDANCES:
        _, base = yard.base(guidance)
        _, seen = yard.samples(trained, guidance)
        identity.append(carry_score.identity(seen, base, yard.truth, yard.who)["identity"])
        obedience.append(carry_score.obedience(seen, base, yard.asked)["obedience"])
    return tuple(identity), tuple(obedience)


def frontier(yard: Yardstick, context: Acting, guidance: float, whole: Seen) -> list[list[float]]:
    """[scale, identity, obedience] at each of `SCALES`, all of the same few samples; `whole` are those at scale 1."""
    base, truth = few(yard.base(guidance)[1]), few(yard.truth)
    found = []
    for scale in SCALES:
        seen = few(whole) if scale == 1 else yard.few_samples(context.scaled(scale), guidance)
        shown = carry_score.identity(seen, base, truth, yard.who)["identity"]
        found.append([scale, shown, carry_score.obedience(seen, base, yard.asked)["obedience"]])
    return found
